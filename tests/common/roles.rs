//! Roles of a test, and sessions as one of them.

use super::database::{Database, quiet};
use super::queries::{batch, text};
use postgres::Client;

/// Roles of a test, dropped with it; roles belong to the whole server, so that their names begin with the database's.
pub struct Roles<'a> {
    pub database: &'a Database,
}

impl Roles<'_> {
    pub fn name(&self, role: &str) -> String {
        format!("{}_{role}", self.database.name)
    }

    pub fn create<'a>(database: &'a Database, roles: &[&str]) -> Roles<'a> {
        let names = Roles { database };
        let mut client = database.client();
        for role in roles {
            batch(&mut client, &format!("CREATE ROLE {}", names.name(role)));
        }
        batch(&mut client, &format!("REVOKE ALL ON DATABASE {} FROM PUBLIC", database.name));
        names
    }

    /// `sql` with `@role` for the roles' names.
    pub fn say(&self, sql: &str) -> String {
        sql.replace('@', &format!("{}_", self.database.name))
    }

    pub fn client(&self, role: &str) -> Client {
        let mut client = quiet(self.database);
        batch(&mut client, &format!("SET ROLE {}", self.name(role)));
        client
    }
}

impl Drop for Roles<'_> {
    fn drop(&mut self) {
        let mut client = quiet(self.database);
        let roles = format!(
            "SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles WHERE rolname LIKE '{}\\_%'",
            self.database.name
        );
        let roles = text(&mut client, &roles);
        let _ = client.batch_execute(&format!("DROP OWNED BY {roles} CASCADE; DROP ROLE {roles}"));
    }
}

/// Runs `sql` as a role that owns the database and is no superuser.
pub fn as_owner_of_the_database(database: &Database, sql: &str) {
    let name = &database.name;
    batch(
        &mut quiet(database),
        &format!(
            "CREATE ROLE {name}_owner; ALTER DATABASE {name} OWNER TO {name}_owner; SET ROLE {name}_owner;
             {sql};
             RESET ROLE; DROP OWNED BY {name}_owner; ALTER DATABASE {name} OWNER TO postgres; DROP ROLE {name}_owner"
        ),
    );
}
