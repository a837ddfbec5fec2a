//! The README is real: its SQL runs, in order, in one psql session, and prints what the README says it prints.
//!
//! Every block marked `sql` is executed. What it prints, errors included, stands in the block marked `text` that follows it
//! with nothing but blank lines between; without one it must print nothing. Spaces at the end of lines do not count.
//! `PG_RFM_UPDATE=1 make test ARGS="--test readme"` writes the outputs into the README.

mod common;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A fenced block of the README; positions are line numbers, from 0.
struct Block {
    language: String,
    /// The lines between the fences.
    lines: Range<usize>,
}

/// An SQL block and the block with its output, if there is one.
struct Example<'a> {
    sql: &'a Block,
    output: Option<&'a Block>,
}

fn readme() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

fn blocks(lines: &[&str]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, usize)> = None;
    for (number, line) in lines.iter().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            open = match open {
                None => Some((language.trim().to_owned(), number + 1)),
                Some((language, first)) => {
                    blocks.push(Block { language, lines: first..number });
                    None
                }
            };
        }
    }
    assert!(open.is_none(), "a fence of the README stays open");
    blocks
}

fn examples<'a>(blocks: &'a [Block], lines: &[&str]) -> Vec<Example<'a>> {
    let output_of = |position: usize| {
        let next: &Block = blocks.get(position + 1)?;
        let between = &lines[blocks[position].lines.end + 1..next.lines.start - 1];
        (next.language == "text" && between.iter().all(|line| line.is_empty())).then_some(next)
    };
    (0..blocks.len())
        .filter(|&position| blocks[position].language == "sql")
        .map(|position| Example { sql: &blocks[position], output: output_of(position) })
        .collect()
}

/// The printed lines of each part, where the parts are announced by `mark`.
fn split(printed: &str, mark: &str) -> Vec<String> {
    let mark = format!("{mark}\n");
    let parts = printed.split(&mark).skip(1);
    parts.map(|part| part.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()).collect()
}

/// Runs the parts in one session; what each printed, errors after everything else.
fn run(database: &str, parts: &[String]) -> Vec<String> {
    const MARK: &str = "-- next part --";
    let mut script = String::from("\\pset pager off\n\\set SHOW_CONTEXT never\n");
    for part in parts {
        // Each stream has its own marks, so that it does not matter when psql flushes which.
        write!(script, "\\echo '{MARK}'\n\\warn '{MARK}'\n{part}\n").expect("a String takes everything");
    }
    let mut psql = common::program("psql")
        .args(["-X", "-q", database])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PGCLIENTENCODING", "UTF8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql starts");
    let mut stdin = psql.stdin.take().expect("psql has a stdin");
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = psql.wait_with_output().expect("psql ends");
    writer.join().expect("the writer ends").expect("psql reads everything");
    let printed = split(&String::from_utf8(output.stdout).expect("psql prints UTF-8"), MARK);
    let errors = split(&String::from_utf8(output.stderr).expect("psql prints UTF-8"), MARK);
    assert_eq!((printed.len(), errors.len()), (parts.len(), parts.len()), "psql stopped early: {errors:?}");
    let both = |(printed, error): (String, String)| [printed, error].join("\n").trim_matches('\n').to_owned();
    printed.into_iter().zip(errors).map(both).collect()
}

#[test]
fn its_sql_prints_what_it_says() {
    let text = fs::read_to_string(readme()).expect("the README can be read");
    let lines: Vec<_> = text.lines().collect();
    let blocks = blocks(&lines);
    let examples = examples(&blocks, &lines);
    assert!(examples.len() > 5, "the README has lost its examples");

    // The README begins with CREATE EXTENSION.
    let database = common::Database::new("readme");
    database
        .psql(&format!("DROP EXTENSION pg_rfm; DROP SCHEMA rfm; ALTER DATABASE {} RESET search_path", database.name));
    let sql: Vec<_> = examples.iter().map(|example| lines[example.sql.lines.clone()].join("\n")).collect();
    let printed = run(&database.name, &sql);

    let update = env::var_os("PG_RFM_UPDATE").is_some();
    let mut updated: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut differences = String::new();
    // From the end, so that the positions of what comes before stay true.
    for (example, printed) in examples.iter().zip(&printed).rev() {
        let said = example.output.map_or(String::new(), |block| {
            lines[block.lines.clone()].iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
        });
        let expects_error = said.contains("ERROR:");
        if update && printed.contains("ERROR:") == expects_error {
            match example.output {
                Some(block) => {
                    updated.splice(block.lines.clone(), printed.lines().map(str::to_owned));
                    continue;
                }
                None if printed.is_empty() => continue,
                None => {
                    let after = example.sql.lines.end + 1;
                    let block = ["", "```text"].into_iter().chain(printed.lines()).chain(["```"]);
                    updated.splice(after..after, block.map(str::to_owned));
                    continue;
                }
            }
        }
        if said != *printed {
            let at = example.sql.lines.start + 1;
            write!(differences, "\nREADME.md:{at} prints\n{printed}\ninstead of\n{said}\n")
                .expect("a String takes everything");
        }
    }
    if update {
        fs::write(readme(), updated.join("\n") + "\n").expect("the README can be written");
    }
    assert!(differences.is_empty(), "{differences}\nPG_RFM_UPDATE=1 writes what it prints into the README.");
}

#[test]
fn its_links_lead_somewhere() {
    let text = fs::read_to_string(readme()).expect("the README can be read");
    // As GitHub makes them: lower case, spaces to hyphens, other signs left out.
    let anchor = |title: &str| -> String {
        let kept = title.to_lowercase().replace(' ', "-");
        kept.chars().filter(|&sign| sign.is_alphanumeric() || sign == '-' || sign == '_').collect()
    };
    let anchors: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#').trim()))
        .collect();
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        match link.strip_prefix('#') {
            Some(wanted) => assert!(anchors.iter().any(|anchor| anchor == wanted), "no heading for {link}"),
            None if link.contains("://") => {}
            None => assert!(readme().with_file_name(link).exists(), "no file {link}"),
        }
    }
}

/// What the database knows of the extension must stand in the README: each row is what is looked for.
#[test]
fn it_names_everything_and_every_object_has_a_comment() {
    let text = fs::read_to_string(readme()).expect("the README can be read");
    let database = common::Database::new("readme_names");
    let extension = "refclassid = 'pg_extension'::regclass AND deptype = 'e'
        AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_rfm')
        -- Array types and row types of tables, members since PostgreSQL 17, come with what they are made of.
        AND NOT (classid = 'pg_type'::regclass
                 AND objid IN (SELECT typarray FROM pg_type UNION ALL SELECT reltype FROM pg_class WHERE relkind IN ('r', 'v')))";
    for (what, query) in [
        (
            "functions and aggregates",
            format!(
                "SELECT DISTINCT '`' || proname FROM pg_proc JOIN pg_depend ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
                 WHERE {extension} AND proname !~ '^(_|purchase_history_|engagement_history_|contact_history_|segment_policy_|jsonb_to_|[fm]_score$)'
                       AND proname !~ '^scenario_(in|out|recv|send|eq|ne|lt|le|gt|ge|cmp|hash|hash_extended)$'"
            ),
        ),
        (
            "columns of segment_customer",
            "SELECT unnest(proargnames[9:]) FROM pg_proc WHERE proname = 'segment_customer'".to_owned(),
        ),
        (
            "keys of the policy and their defaults",
            "WITH RECURSIVE keys (path, value) AS (
                 SELECT key, value FROM jsonb_each(effective_policy(NULL))
                 UNION ALL
                 SELECT path || '.' || e.key, e.value
                 FROM keys, jsonb_each(CASE WHEN jsonb_typeof(value) = 'object' THEN value ELSE '{}' END) AS e
             )
             SELECT CASE WHEN path ~ '^learn[.]|[.]rules$' THEN path ELSE format('| %s | %s |', path, value) END
             FROM keys
             WHERE jsonb_typeof(value) <> 'object' AND path !~ '^relation[.]kinds'"
                .to_owned(),
        ),
        (
            "kinds of engagement and their weights",
            "SELECT format('%s %s', key, value -> 'weight') FROM jsonb_each(effective_policy(NULL) #> '{relation,kinds}')".to_owned(),
        ),
        ("presets", "SELECT format('| %s |', name) FROM policy_presets()".to_owned()),
        ("scenarios", "SELECT format('| %s | %s |', priority, name) FROM scenario_presets()".to_owned()),
        ("messages", "SELECT format('| %s | %s | %s |', message_key, title_en, title_ja) FROM message_keys()".to_owned()),
        (
            "next actions",
            "SELECT format('| %s | %s | %s |', action, title, title_ja) FROM next_actions()".to_owned(),
        ),
        ("rules", "SELECT format('| %s |', rule) FROM next_actions()".to_owned()),
        (
            "segments",
            "SELECT format('| %s |', r ->> 'name') FROM jsonb_array_elements(effective_policy(NULL) #> '{segments,rules}') AS r".to_owned(),
        ),
        (
            "labels",
            "SELECT format('| %s | %s |', state, label_ja) FROM lifecycle_states()
             UNION ALL SELECT format('| %s | %s |', stage, label_ja) FROM purchase_stages()
             UNION ALL SELECT format('| %s | %s |', tier, label_ja) FROM vip_tiers()
             UNION ALL SELECT format('| %s | %s |', membership, label_ja) FROM memberships()
             UNION ALL SELECT format('| %s | %s |', category, label_ja) FROM dormancy_categories()
             UNION ALL SELECT format('| %s | %s |', reason, label_ja) FROM dormancy_reasons()
             UNION ALL SELECT format('| %s | %s |', why, label_ja) FROM due_step_reasons()"
                .to_owned(),
        ),
    ] {
        let found = database.psql(&query);
        assert!(!found.is_empty(), "no {what}");
        let missing: Vec<_> = found.lines().filter(|wanted| !text.contains(wanted)).collect();
        assert!(missing.is_empty(), "the README lacks {what}: {missing:#?}");
    }

    let uncommented = database.psql(&format!(
        "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
         WHERE {extension} AND obj_description(objid, classid::regclass::name) IS NULL"
    ));
    assert_eq!(uncommented, "", "src/sql/comments.sql lacks these");
}
