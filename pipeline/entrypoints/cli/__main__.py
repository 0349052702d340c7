"""Run the command as `python -P -m pipeline.entrypoints.cli`."""

from pipeline.entrypoints.cli.start import main

if __name__ == "__main__":
    main()
