"""The workspace folder: one database (SQLAlchemy Core), derived files and model packages."""
