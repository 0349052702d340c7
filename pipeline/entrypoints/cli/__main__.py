"""Run the command as `python -m pipeline.entrypoints.cli`."""

from pipeline.entrypoints.cli.start import main

if __name__ == "__main__":
    main()
