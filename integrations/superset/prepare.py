"""Makes Superset's tables, its user and the dashboards of assets/: what `superset db upgrade`, `init` and others do, at once."""

import os
from pathlib import Path

from flask_migrate import upgrade
from superset.app import create_app

ASSETS = Path(__file__).resolve().parent / "assets"

with create_app().app_context():
    upgrade()

with create_app().app_context():
    from superset import appbuilder, security_manager
    from superset.commands.importers.v1.assets import ImportAssetsCommand
    from superset.utils.core import override_user

    appbuilder.add_permissions(update_perms=True)
    security_manager.sync_role_definitions()
    password = os.environ["DASHBOARD_PASSWORD"]
    admin = security_manager.find_user("admin")
    if admin:
        security_manager.reset_password(admin.id, password)
    else:
        admin = security_manager.add_user("admin", "pg_rfm", "demo", "admin@localhost", security_manager.find_role("Admin"), password)
    files = {str(path.relative_to(ASSETS)): path.read_text(encoding="utf-8") for path in ASSETS.rglob("*.yaml")}
    with override_user(admin):
        ImportAssetsCommand(files).run()
