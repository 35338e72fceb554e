"""From scores to findings: which changes are told, since when, how large, and what became of them.

    report = evaluate(settings, series, edges, previous)

Pure: what was said before comes in, what is to be said goes out. Settled days are judged once, in order, both ways.
Days that still move are judged one-sided: a partial day can only grow, so a rise is told early, while a fall and an end
wait for the day to settle.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.anomalies import causes, course
from exporter.analysis.anomalies.detectors import Detector, detector
from exporter.analysis.anomalies.model import Edge, Finding, Kind, Part, Report, Settings, Severity, Status
from exporter.analysis.anomalies.rollups import Slice, groups, named, slices, summed, together
from exporter.analysis.anomalies.scoring import Floats, Judgement, outlook
from exporter.analysis.series import ALL, Scope, Series
from exporter.periods import DAY

_COVERED = 0.8
"""Share of a change that its named parts make up."""
_EXPLAINED = 0.5
"""A wider sum is no news where narrower findings make up so much of its excess."""
_DROPPED = 0.5
_REMEMBERED = 60
"""Days for which an ended finding keeps its fall from being told as a drop."""
_LOOKED_AT = 8
_DARK = 29
"""What did not cost anything for four weeks is new again."""


def evaluate(
    settings: Settings,
    series: Series,
    edges: Mapping[str, Edge],
    previous: Report = Report(),  # noqa: B008
) -> Report:
    """What is to be said about the bill now. `edges`: how far each source reaches; one without is left as it was.

    The first look judges the newest settled day; later ones each settled day since, and what moves behind it.
    """
    open_ = {finding.fingerprint: replace(finding, status=Status.OPEN) for finding in previous.open}
    ended = list(previous.ended)
    fresh: list[str] = []
    judged = dict(previous.judged)
    find = detector(settings.detector)
    for source, edge in sorted(edges.items()):
        mine = series.of({source}).until(edge.newest)
        if not mine.days or edge.settled < mine.days[0]:
            continue
        estate = _Estate(settings, mine, edge, find)
        since = judged.get(source, edge.settled - DAY)
        for day in mine.days:
            if day <= since:
                continue
            known = [finding for finding in (*open_.values(), *ended) if finding.scope.source == source]
            for finding in estate.found(day, known):
                open_[finding.fingerprint] = finding
                fresh.append(finding.fingerprint)
        mine_open = [finding for finding in open_.values() if finding.scope.source == source]
        known = [*mine_open, *(finding for finding in ended if finding.scope.source == source)]
        for now in estate.followed(mine_open, known, fresh):
            open_[now.fingerprint] = now
        judged[source] = max(edge.settled, since)
    told = sorted(open_.values(), key=lambda finding: (-abs(finding.impact), finding.fingerprint))
    ended += [finding for finding in told if finding.status is Status.RESOLVED]
    newest = max((edge.settled for edge in edges.values()), default=date.min)
    kept = tuple(finding for finding in ended if (newest - finding.day).days <= _REMEMBERED)
    return Report(tuple(told), tuple(name for name in fresh if name in open_), judged, kept)


@dataclass(frozen=True, slots=True)
class _Odd:
    """A slice that is odd on a day."""

    slice: Slice
    actual: float
    expected: float
    upper: float
    score: float
    scale: int
    kind: Kind

    @property
    def excess(self) -> float:
        return self.actual - self.expected


class _Estate:
    """The lines of one source, and what is known of its days."""

    def __init__(self, settings: Settings, series: Series, edge: Edge, find: Detector) -> None:
        self._settings, self._series, self._edge, self._find = settings, series, edge, find
        self._groups = [(rows, tuple(slices(series, rows, sums=settings.roll_ups))) for rows in groups(series)]
        began = np.argmax(np.isfinite(series.values), axis=1)
        first: dict[str, int] = {}
        for scope, column in zip(series.scopes, began, strict=True):
            first[scope.account] = min(first.get(scope.account, len(series.days)), int(column))
        self._accounts = np.array([first[scope.account] for scope in series.scopes])
        """The column in which each line's account began."""

    def found(self, day: date, known: Sequence[Finding]) -> Iterator[Finding]:
        """What is odd on a day and no part of what is known."""
        values = self._seen(day, known)
        for rows, odd in self._odd(day, values):
            for each in self._causes(values, rows, [each for each in odd if each.kind is not Kind.DROP]):
                yield self._finding(day, values, each)
            yield from self._drops(day, values, rows, [each for each in odd if each.kind is Kind.DROP], known)

    def _drops(
        self,
        day: date,
        values: NDArray[np.float64],
        rows: NDArray[np.intp],
        odd: Sequence[_Odd],
        known: Sequence[Finding],
    ) -> Iterator[Finding]:
        """What fell on a day, each fall by one name: what fell to nothing, else the widest sum that lost half."""
        if not odd:
            return
        lines = self._lines(values, rows)
        scopes = [finding.scope for finding in known]
        fallen = [self._rows(finding.scope) for finding in known if finding.kind is Kind.DROP]
        told = np.concatenate([*fallen, np.array([], np.intp)])
        for each in sorted(odd, key=lambda each: (round(each.actual / max(each.expected, 1e-9), 1), each.excess)):
            scope = each.slice.scope
            if any(_touch(scope, other) for other in scopes) or _mostly(each, told, lines, rows):
                continue
            scopes.append(scope)
            told = np.concatenate([told, each.slice.rows])
            yield self._finding(day, values, each)

    def _seen(self, day: date, known: Sequence[Finding]) -> NDArray[np.float64]:
        """What was known of the days up to and with this one, without what is told already.

        A day before it that has not settled counts as its week before at least. The lines of a known rise cost what
        they should have: neither do the sums around it rise again, nor is what comes after it a fall.
        """
        values = self._series.values[:, : self._column(day) + 1].copy()
        for moving in range(max(self._column(self._edge.settled) + 1, 7), values.shape[1] - 1):
            values[:, moving] = np.fmax(values[:, moving], values[:, moving - 7])
        return self._without(known, values)

    def _without(self, known: Sequence[Finding], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values, in place, with lines of known rises at what they should have cost."""
        spans: dict[tuple[int, int], list[NDArray[np.intp]]] = {}
        for finding in known:
            first = self._column(finding.first_day)
            last = values.shape[1] - 1 if finding.status is not Status.RESOLVED else self._column(finding.day)
            if finding.kind is not Kind.DROP and finding.ended != course.ACCEPTED and 1 <= first <= last:
                spans.setdefault((first, last), []).append(self._rows(finding.scope))
        for first, last in sorted(spans):
            rows = np.unique(np.concatenate(spans[first, last]))
            values[rows, first : last + 1] = np.fmin(
                values[rows, first : last + 1], self._expected(values[rows], first, last)[0]
            )
        return values

    def _expected(self, values: NDArray[np.float64], first: int, last: int) -> tuple[NDArray[np.float64], Floats]:
        """What series should have cost from one column to another, going by what was before; 0 without a past."""
        window = values[:, :first][:, -self._settings.look_back :]
        ahead, spread = _outlook(window, self._series.days[:first][-self._settings.look_back :], last - first + 1)
        return np.nan_to_num(ahead.astype(float))[:, : values.shape[1] - first], np.nan_to_num(spread.astype(float))

    def _column(self, day: date) -> int:
        return (day - self._series.days[0]).days

    def _rows(self, scope: Scope) -> NDArray[np.intp]:
        return np.array([row for row, each in enumerate(self._series.scopes) if scope.holds(each)], np.intp)

    def _odd(self, day: date, values: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.intp], list[_Odd]]]:
        """The lines of each group that may be added, and its slices that are odd on a day."""
        settings, column = self._settings, values.shape[1] - 1
        # What an account costs in its first weeks is its own growth, and no rise of anything else.
        grown = (self._accounts == 0) | (self._accounts <= column - settings.account_settles)
        chosen: list[list[Slice]] = []
        for _, parts in self._groups:
            old = (
                Slice(each.scope, each.rows[grown[each.rows]]) if each.scope.account == ALL else each for each in parts
            )
            chosen.append([each for each in old if len(each.rows)])
        all_parts = [each for parts in chosen for each in parts]
        if not all_parts:
            return
        # One judgement for all groups: what it costs hardly depends on how many lines there are.
        matrix = np.array([summed(values, each.rows) for each in all_parts])
        window, history = matrix[:, -settings.look_back :], np.isfinite(matrix).sum(axis=1)
        judgement = self._find(window, self._series.days[: column + 1][-settings.look_back :])
        place = 0
        for (rows, _), kept in zip(self._groups, chosen, strict=True):
            mine = slice(place, place + len(kept))
            place = mine.stop
            yield rows, list(self._odd_of(day, kept, window[mine], history[mine], judgement.of(mine), grown))

    def _odd_of(
        self,
        day: date,
        chosen: Sequence[Slice],
        window: NDArray[np.float64],
        history: NDArray[np.intp],
        judgement: Judgement,
        grown: NDArray[np.bool_],
    ) -> Iterator[_Odd]:
        settings = self._settings
        lifts = np.full(len(grown), np.nan)
        for place, part in enumerate(chosen):
            if part.line:
                lifts[part.rows] = judgement.lift[place]
        for place, part in enumerate(chosen):
            actual = float(window[place, -1])
            if history[place] < settings.minimum_history:
                old = bool(grown[part.rows].all())
                if (
                    history[place] <= course.STAYS
                    and old
                    and actual >= settings.new_cost
                    and self._column(day) >= settings.minimum_history
                ):
                    yield _Odd(part, actual, 0.0, settings.new_cost, actual / settings.new_cost, 1, Kind.NEW)
                continue
            found = self._told(day, part, actual, judgement, place, together(lifts[part.rows]))
            if found and found.kind is not Kind.DROP and not np.nansum(np.abs(window[place, -_DARK:-1])):
                found = replace(found, kind=Kind.NEW)
            if found:
                yield found

    def _told(
        self, day: date, part: Slice, actual: float, judgement: Judgement, place: int, pooled: float
    ) -> _Odd | None:
        """The slice as something odd, where it is odd enough and matters."""
        settings = self._settings
        score = float(np.fmax(judgement.score[place], pooled)) / settings.sensitivity
        drop = float(judgement.drop[place]) / settings.sensitivity
        expected, spread = float(judgement.expected[place]), float(judgement.spread[place])
        scale = int(judgement.scale[place])
        expected += self._fees(day, part.scope, actual - expected)
        excess = actual - expected
        enough = max(settings.minimum_cost, settings.minimum_percent / 100 * max(expected, 0))
        # Enough beyond doubt: what is expected may be off by as much as a day differs from another.
        if score > 1 and excess - min(spread, excess / 2) >= enough:
            kind = Kind.DRIFT if scale > course.STAYS else Kind.STEP if scale == course.STAYS else Kind.SPIKE
            upper = max(expected, min(actual, expected + excess / score))
            return _Odd(part, actual, expected, upper, score, scale, kind)
        lost = expected > 0 and actual < _DROPPED * expected and -excess >= enough
        if settings.drops and drop > 1 and lost and day <= self._edge.settled:
            return _Odd(part, actual, expected, expected - spread, drop, 3, Kind.DROP)
        return None

    def _fees(self, day: date, scope: Scope, excess: float) -> float:
        """How much of an excess the known fees of a day explain."""
        days = monthrange(day.year, day.month)[1]
        amounts = [fee.amount for fee in self._settings.fees if fee.falls_on(day, days) and fee.concerns(scope)]
        return max(0.0, min(excess, sum(amounts))) if amounts else 0.0

    def _causes(self, values: NDArray[np.float64], rows: NDArray[np.intp], odd: Sequence[_Odd]) -> Iterator[_Odd]:
        """The fewest slices that explain all rises of a day."""
        left, told = list(odd), np.array([], np.intp)
        lines = self._lines(values, rows) if left else ()
        while left:
            first = max(left, key=lambda each: (each.excess, each.score))
            best = self._likeliest(first, left, rows, lines, told)
            yield best
            told = np.concatenate([told, best.slice.rows])
            left = [each for each in left if each is not first and not _mostly(each, told, lines, rows)]

    def _likeliest(
        self,
        first: _Odd,
        odd: Sequence[_Odd],
        rows: NDArray[np.intp],
        lines: tuple[NDArray[np.float64], ...],
        told: NDArray[np.intp],
    ) -> _Odd:
        """The slice, within the largest odd one or around it, that the lines speak for; itself where none does."""
        free = np.flatnonzero(~np.isin(rows, told))
        actual, expected, spread = (each[free] for each in lines)
        labels = [self._series.scopes[rows[place]][2:5] for place in free]
        for cause in causes.rank(labels, actual, expected, spread)[:_LOOKED_AT] if len(free) else ():
            members = rows[free[cause.rows]]
            now, was = float(actual[cause.rows].sum()), float(np.maximum(expected[cause.rows], 0).sum())
            within = np.isin(members, first.slice.rows).all() or np.isin(first.slice.rows, members).all()
            if cause.likelihood <= 0 or not within or now - was < _EXPLAINED * first.excess:
                continue
            for each in odd:
                if np.array_equal(each.slice.rows, members):
                    return each
            kind = Kind.NEW if was < _EXPLAINED * self._settings.minimum_cost else first.kind
            upper = min(now, was + (now - was) / first.score)
            return replace(
                first,
                slice=Slice(named(self._series, members), members),
                actual=now,
                expected=was,
                upper=upper,
                kind=kind,
            )
        return first

    def _lines(self, values: NDArray[np.float64], rows: NDArray[np.intp]) -> tuple[NDArray[np.float64], ...]:
        """Actual, expected and standard deviation of each line on the newest day; without a past it expects 0."""
        window = values[rows][:, -self._settings.look_back :]
        dates = self._series.days[: values.shape[1]][-self._settings.look_back :]
        ahead, spread = _outlook(window[:, :-1], dates[:-1], 1)
        expected = np.nan_to_num(ahead[:, 0].astype(float))
        deviation = np.nan_to_num(spread.astype(float), nan=2.0)
        return np.nan_to_num(window[:, -1]), expected, np.maximum(deviation, np.maximum(0.01 * expected, 0.01))

    def _finding(self, day: date, values: NDArray[np.float64], odd: _Odd) -> Finding:
        first = day
        sign = "-" if odd.kind is Kind.DROP else "+"
        words = "\0".join((*odd.slice.scope, sign, first.isoformat()))
        finding = Finding(
            fingerprint=blake2b(words.encode(), digest_size=8).hexdigest(),
            scope=odd.slice.scope,
            kind=odd.kind,
            status=Status.OPEN,
            severity=Severity.INFO,
            first_day=first,
            first_seen=self._edge.newest,
            day=day,
            actual=odd.actual,
            expected=odd.expected,
            upper=odd.upper,
            score=odd.score,
            impact=odd.excess,
            settled=day <= self._edge.settled,
            parts=self._parts(values, odd),
            told=odd.excess,
        )
        return replace(finding, severity=course.severity(self._settings, finding))

    def _parts(self, values: NDArray[np.float64], odd: _Odd) -> tuple[Part, ...]:
        """The fewest lines that make up 80 % of what changed."""
        actual, expected, _ = self._lines(values, odd.slice.rows)
        sign = -1 if odd.kind is Kind.DROP else 1
        excess = sign * (actual - expected)
        fresh = np.isfinite(values[odd.slice.rows]).sum(axis=1) <= course.STAYS
        wanted, parts = _COVERED * float(excess.sum()), []
        for place in np.argsort(-excess, kind="stable"):
            scope = self._series.scopes[odd.slice.rows[place]]
            parts.append(
                Part(scope.account, scope.service, scope.region, sign * float(excess[place]), bool(fresh[place]))
            )
            wanted -= float(excess[place])
            if wanted <= 0:
                break
        return tuple(parts)

    def followed(
        self, findings: Sequence[Finding], known: Sequence[Finding], fresh: Collection[str]
    ) -> Iterator[Finding]:
        """The findings as the newest days show them: their amounts, whether they worsened, whether they ended.

        What earlier ones among those that are `known` add is expected of the later: nobody pays for it twice.
        """
        without, begun = self._series.values.copy() if findings else self._series.values, date.min
        for first_day in sorted({finding.first_day for finding in findings}):
            without = self._without([each for each in known if begun <= each.first_day < first_day], without)
            begun, first = first_day, self._column(first_day)
            group = [(each, self._rows(each.scope)) for each in findings if each.first_day == first_day]
            yield from (finding for finding, rows in group if not len(rows) or first < 1)
            group = [(finding, rows) for finding, rows in group if len(rows) and first >= 1]
            if not group:
                continue
            totals = np.array([summed(without, rows) for _, rows in group])
            last = self._column(max(self._edge.settled, first_day))
            ahead, spread = self._expected(totals, first, last)
            for place, (finding, rows) in enumerate(group):
                raw = summed(self._series.values, rows)
                known_part = np.nan_to_num(raw - totals[place])[first : last + 1]
                expected = ahead[place] + known_part
                if finding.fingerprint in fresh:
                    # On its first day the stretch that found it knows best what was expected, of what was not known.
                    expected = expected + (finding.expected - float(ahead[place, 0]))
                actual = np.nan_to_num(raw[first : last + 1])
                yield course.today(
                    self._settings,
                    finding,
                    self._edge.settled,
                    course.Days(actual, expected, float(spread[place])),
                    new=finding.fingerprint in fresh,
                )


def _outlook(window: NDArray[np.float64], dates: Sequence[date], ahead: int) -> tuple[Floats, Floats]:
    """What the days after a window should cost: of a line too young for more, the middle of the days it has."""
    expected, spread = outlook(window, dates, ahead)
    known = np.isfinite(window).sum(axis=1)
    young = np.flatnonzero(np.isnan(expected[:, 0]) & (known > course.STAYS)) if ahead else ()
    if len(young):
        expected[young] = np.nanmedian(window[young], axis=1)[:, None]
    return expected, spread


def _touch(one: Scope, other: Scope) -> bool:
    return one.holds(other) or other.holds(one)


def _mostly(odd: _Odd, told: NDArray[np.intp], lines: tuple[NDArray[np.float64], ...], rows: NDArray[np.intp]) -> bool:
    """Whether most of an odd slice's excess, or of what it lost, lies in lines that are told already."""
    known = np.isin(odd.slice.rows, told)
    places = np.searchsorted(rows, odd.slice.rows[known])
    sign = np.sign(odd.excess)
    return bool(known.all()) or sign * float((lines[0] - lines[1])[places].sum()) >= _EXPLAINED * abs(odd.excess)
