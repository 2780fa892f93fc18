"""How the console writes dates and times; Django finds this by FORMAT_MODULE_PATH."""
