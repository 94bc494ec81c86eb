"""Makes Superset's own database, with its roles and one administrator; does nothing that is done already.

One process instead of four commands, each of which would load all of Superset again, and no password on a command line:
it is the first line of standard input. An argument names a file to keep the database in before any user is in it.
"""

import os
import shutil
import sys

from flask_migrate import upgrade
from superset.app import create_app

password = sys.stdin.readline().rstrip("\n")
template = sys.argv[1]
database = os.path.join(os.environ["SUPERSET_HOME"], "superset.db")
fresh = not os.path.exists(database)
if fresh and os.path.exists(template):
    shutil.copyfile(template, database + ".new")
    os.replace(database + ".new", database)
    fresh = False

app = create_app()
with app.app_context():
    from superset import appbuilder, db, security_manager

    if fresh:
        upgrade()
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        db.session.commit()
        shutil.copyfile(database, template + ".new")
        os.replace(template + ".new", template)
    user = security_manager.find_user("admin")
    if user is None:
        role = security_manager.find_role("Admin")
        email = "admin@localhost.invalid"
        user = security_manager.add_user("admin", "Admin", "User", email, role, password=password)
        if not user:
            sys.exit("the administrator could not be made")
    else:
        security_manager.reset_password(user.id, password)
    db.session.commit()
