//! Building and installing name the packages that are missing; only `make deps` installs them.

use crate::common::*;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

/// A folder with programs that stand in for pg_config, apt-get and sudo; the last two write down how they are called.
struct Programs(PathBuf);

impl Programs {
    /// `bindir` is what the stand-in for pg_config says; server headers it has none.
    fn new(name: &str, bindir: &str) -> Self {
        let programs = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        let _ = fs::remove_dir_all(&programs.0);
        fs::create_dir_all(&programs.0).expect("a folder can be made");
        let calls = programs.0.join("calls").display().to_string();
        programs.add("apt-get", &format!("echo apt-get \"$@\" >>'{calls}'"));
        programs.add("sudo", &format!("echo sudo \"$@\" >>'{calls}'"));
        programs.add(
            "pg_config",
            &format!(
                "case $1 in --version) echo 'PostgreSQL 15.0' ;; --bindir) echo '{bindir}' ;; *) echo /nowhere ;; esac"
            ),
        );
        programs
    }

    fn add(&self, name: &str, body: &str) {
        let program = self.0.join(name);
        fs::write(&program, format!("#!/bin/sh\n{body}\n")).expect("a program can be written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it can be made executable");
    }

    fn pg_config(&self) -> String {
        self.0.join("pg_config").display().to_string()
    }

    /// A command that finds these programs first.
    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        Command::new(command)
            .args(arguments)
            .current_dir(file(""))
            .env("PATH", format!("{}:{}", self.0.display(), env::var("PATH").expect("there is a PATH")))
            .env("PG_CONFIG", self.pg_config())
            .stdin(Stdio::null())
            .output()
            .expect("the program starts")
    }

    /// How apt-get and sudo were called.
    fn calls(&self) -> String {
        fs::read_to_string(self.0.join("calls")).unwrap_or_default()
    }
}

/// A server's bindir without initdb in it, of a version that no machine has.
const DEBIAN: &str = "/usr/lib/postgresql/99/bin";

#[test]
fn building_and_installing_name_the_missing_package_and_install_none() {
    let programs = Programs::new("dependencies_check", DEBIAN);
    for target in ["build", "install", "lint"] {
        let output = programs.run("make", &["-s", target, &format!("PG_CONFIG={}", programs.pg_config())]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "make {target}: {said}");
        assert!(said.contains("missing: postgresql-server-dev-99"), "make {target}: {said}");
        assert!(said.contains(&format!("make deps PG_CONFIG={}", programs.pg_config())), "make {target}: {said}");
        assert_eq!(programs.calls(), "", "make {target}");
    }
}

#[test]
fn where_no_package_of_debian_is_missing_it_says_what_is() {
    let programs = Programs::new("dependencies_other", "/opt/pg/bin");
    let output = programs.run("tests/support/deps.sh", &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("no server headers (postgres.h) and no server (initdb)"),
        "{said}"
    );
    assert_eq!(programs.calls(), "");
}

#[test]
fn deps_installs_what_is_missing() {
    // The server that is tested is there; the stand-in says that its headers are not.
    let variable = |name| env::var(name).expect("the tests run in `make test`");
    let bindir = variable("PG_RFM_BINDIR").replacen(&variable("PG_RFM_PREFIX"), "", 1);
    let Some(version) = bindir.strip_prefix("/usr/lib/postgresql/").and_then(|rest| rest.strip_suffix("/bin")) else {
        eprintln!("skipped: {bindir} is not from a package of Debian");
        return;
    };
    let programs = Programs::new("dependencies_install", &bindir);
    let output = programs.run("tests/support/deps.sh", &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let calls = programs.calls();
    let installed = calls.lines().find(|call| call.contains(" install ")).expect("apt-get install is called");
    assert!(installed.ends_with(&format!(" postgresql-server-dev-{version}")), "{calls}");
}
