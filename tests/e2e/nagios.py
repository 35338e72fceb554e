"""A real Nagios 4 in the foreground over the shipped files; its states from its status file."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from pathlib import Path

from tests.e2e.icinga import ROOT, plugin
from tests.neighbours import Server, require, until

SHIPPED = ROOT / "deploy" / "nagios"

_MAIN = """\
log_file={house}/nagios.log
cfg_file={house}/base.cfg
cfg_file={shipped}/cloudspend.cfg
cfg_file={house}/services.cfg
object_cache_file={house}/objects.cache
precached_object_file={house}/objects.precache
resource_file={house}/resource.cfg
status_file={house}/status.dat
status_update_interval=1
nagios_user={user}
nagios_group={group}
check_external_commands=0
command_file={house}/rw/nagios.cmd
lock_file={house}/nagios.lock
temp_file={house}/nagios.tmp
temp_path={house}
check_result_path={house}/checkresults
query_socket={house}/rw/nagios.qh
state_retention_file={house}/retention.dat
log_archive_path={house}/archives
use_syslog=0
interval_length=1
check_workers=2
service_inter_check_delay_method=n
host_inter_check_delay_method=n
process_performance_data=1
illegal_object_name_chars=`~!$%^&*|'"<>?,()=
illegal_macro_output_chars=`~$&|'"<>
"""

_BASE = """\
define timeperiod {
    timeperiod_name 24x7
    alias always
    monday 00:00-24:00
    tuesday 00:00-24:00
    wednesday 00:00-24:00
    thursday 00:00-24:00
    friday 00:00-24:00
    saturday 00:00-24:00
    sunday 00:00-24:00
}
define command {
    command_name noop
    command_line /bin/true
}
define contact {
    contact_name nobody
    host_notifications_enabled 0
    service_notifications_enabled 0
    host_notification_period 24x7
    service_notification_period 24x7
    host_notification_options n
    service_notification_options n
    host_notification_commands noop
    service_notification_commands noop
}
define contactgroup {
    contactgroup_name admins
    alias Nobody
    members nobody
}
"""


class Nagios(Server):
    """Nagios 4 over the shipped command, template and services, whose intervals are seconds here.

    RuntimeError where its own verification finds a fault, or a warning.
    """

    def __init__(self, folder: Path, url: str) -> None:
        house = folder / "nagios"
        for name in ("rw", "archives", "checkresults"):
            (house / name).mkdir(parents=True)
        owner = pwd.getpwuid(os.getuid())
        main = _MAIN.format(house=house, shipped=SHIPPED, user=owner.pw_name, group=grp.getgrgid(owner.pw_gid).gr_name)
        (house / "nagios.cfg").write_text(main)
        (house / "base.cfg").write_text(_BASE)
        (house / "resource.cfg").write_text(f"$USER1$={plugin().parent}\n")
        shipped = (SHIPPED / "services.cfg").read_text()
        assert shipped.count("http://exporter.example.com:9753") == 1
        (house / "services.cfg").write_text(shipped.replace("http://exporter.example.com:9753", url))
        self._status = house / "status.dat"
        program = require("nagios4")
        verified = subprocess.run(
            [program, "-v", house / "nagios.cfg"], capture_output=True, text=True, timeout=60, check=False
        )
        if verified.returncode or "Total Warnings: 0" not in verified.stdout:
            raise RuntimeError(f"nagios4 -v refuses the shipped files:\n{verified.stdout}")
        super().__init__(
            [program, house / "nagios.cfg"],
            url="",
            ready=self._status.exists,
            log=house / "said.log",
        )

    def checked(self, name: str) -> dict[str, str]:
        """A service of the status file, once it has been checked."""
        found: dict[str, str] = {}

        def checked() -> bool:
            found.update(self._services().get(name, {}))
            return found.get("has_been_checked") == "1"

        until(checked, f"Nagios has checked {name}")
        return found

    def _services(self) -> dict[str, dict[str, str]]:
        services = {}
        for block in self._status.read_text().split("servicestatus {")[1:]:
            lines = (line.strip().partition("=") for line in block.partition("\n\t}")[0].splitlines())
            values = {key: value for key, sign, value in lines if sign}
            services[values["service_description"]] = values
        return services
