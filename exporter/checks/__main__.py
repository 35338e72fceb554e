"""`python -m exporter.checks` is `check_cloudspend`."""

from exporter.checks.command import main

if __name__ == "__main__":
    main()
