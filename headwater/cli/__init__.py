"""The command line. `main.py` names every command; a module is imported when its command is used."""
