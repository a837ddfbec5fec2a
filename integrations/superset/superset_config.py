"""Settings of the Superset of `make dashboard`. Its own tables are in the PostgreSQL that the environment names."""

import os

SECRET_KEY = os.environ["DASHBOARD_SECRET"]
SQLALCHEMY_DATABASE_URI = "postgresql+psycopg2:///superset"
# Whoever reaches the loopback address is on this machine: no mail, no thumbnails, no other tool that asks.
RATELIMIT_STORAGE_URI = "memory://"
BABEL_DEFAULT_LOCALE = "en"
