"""`python -m exporter` is `cloudspend`."""

from exporter.cli import main

if __name__ == "__main__":
    main()
