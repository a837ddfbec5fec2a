//! The documentation is real: what its pages say in SQL runs and prints what they say it prints, what they quote stands in the file
//! they name, their links lead somewhere, and everything the database knows of the extension is explained in them.
//!
//! A page is any Markdown file of the repository. In its fenced blocks,
//! - `sql` is executed, all blocks of a page in one psql session, in a database of its own, with the repository as the current folder.
//!   What a block prints, errors included, stands in the block `text` that follows it with nothing but blank lines between; without
//!   one it must print nothing. A page that needs the small shop of README.md says `\i docs/shop.sql` itself, as its reader must.
//! - any language with a path behind it, such as `text sql/examples/kpi/report.out`, is a quotation from that file: pieces of
//!   consecutive lines in the order of the file, with a line `...` where something is left out.
//!
//! Spaces at the end of lines do not count. `PG_RFM_UPDATE=1 make test ARGS="--test documentation sql"` writes what the SQL prints
//! into the pages.

use std::collections::HashSet;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;

use pg_rfm::column::known_to_rules;

use crate::common::{Database, fed, file, program, read};

/// The small shop of README.md, as a script for the other pages.
const SHOP: &str = "docs/shop.sql";

struct Page {
    /// Its path in the repository.
    name: String,
    lines: Vec<String>,
}

/// A fenced block of a page; positions are line numbers, from 0.
struct Block {
    /// What stands behind the opening fence: a language and perhaps the path of the file that is quoted.
    language: String,
    quoted: Option<String>,
    /// The lines between the fences.
    lines: Range<usize>,
}

/// An SQL block and the block with its output, if there is one.
struct Example<'a> {
    sql: &'a Block,
    output: Option<&'a Block>,
}

/// The files of a folder, as paths in the repository, without hidden ones and what is built.
fn find_files(folder: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(file(folder)).unwrap_or_else(|error| panic!("{folder}: {error}")) {
        let entry = entry.unwrap_or_else(|error| panic!("{folder}: {error}"));
        let name = entry.file_name().into_string().expect("names are UTF-8");
        if name.starts_with('.') || name == "target" {
            continue;
        }
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if entry.path().is_dir() {
            find_files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// All pages of the repository, in order of their names.
fn pages() -> Vec<Page> {
    let mut names = Vec::new();
    find_files("", &mut names);
    names.retain(|name| name.ends_with(".md"));
    names.sort();
    let page = |name: String| Page { lines: read(&name).lines().map(str::to_owned).collect(), name };
    names.into_iter().map(page).collect()
}

impl Page {
    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<(&str, usize)> = None;
        for (number, line) in self.lines.iter().enumerate() {
            if let Some(info) = line.strip_prefix("```") {
                open = match open {
                    None => Some((info.trim(), number + 1)),
                    Some((info, first)) => {
                        let (language, quoted) = match info.split_once(' ') {
                            Some((language, quoted)) => (language, Some(quoted.trim().to_owned())),
                            None => (info, None),
                        };
                        blocks.push(Block { language: language.to_owned(), quoted, lines: first..number });
                        None
                    }
                };
            }
        }
        assert!(open.is_none(), "{}: a fence stays open", self.name);
        blocks
    }

    /// The lines that are prose: outside of fenced blocks.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut fenced = false;
        self.lines.iter().map(String::as_str).filter(move |line| {
            let fence = line.starts_with("```");
            fenced ^= fence;
            !fenced && !fence
        })
    }

    /// The anchors of its headings as GitHub makes them: lower case, spaces to hyphens, other signs left out.
    fn anchors(&self) -> HashSet<String> {
        let anchor = |title: &str| -> String {
            let kept = title.to_lowercase().replace(' ', "-");
            kept.chars().filter(|&sign| sign.is_alphanumeric() || sign == '-' || sign == '_').collect()
        };
        let titles = self.prose().filter(|line| line.starts_with('#'));
        titles.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }

    /// The targets of its links, those to other sites left out.
    fn links(&self) -> Vec<&str> {
        let links = self.prose().flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
        links.filter(|link| !link.contains("://")).collect()
    }

    /// The file that a link of it leads to, with the anchor behind it.
    fn follow<'a>(&self, link: &'a str) -> (String, Option<&'a str>) {
        let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
        if file.is_empty() {
            return (self.name.clone(), anchor);
        }
        let mut parts: Vec<&str> = self.name.split('/').collect();
        parts.pop();
        for part in file.split('/') {
            match part {
                "." => {}
                ".." => assert!(parts.pop().is_some(), "{}: {link} leads out of the repository", self.name),
                part => parts.push(part),
            }
        }
        (parts.join("/"), anchor)
    }
}

fn examples<'a>(blocks: &'a [Block], lines: &[String]) -> Vec<Example<'a>> {
    let output_of = |position: usize| {
        let next: &Block = blocks.get(position + 1)?;
        let between = &lines[blocks[position].lines.end + 1..next.lines.start - 1];
        let follows = between.iter().all(String::is_empty);
        (next.language == "text" && next.quoted.is_none() && follows).then_some(next)
    };
    (0..blocks.len())
        .filter(|&position| blocks[position].language == "sql" && blocks[position].quoted.is_none())
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
    let mut psql = program("psql");
    psql.args(["-X", "-q", database]).current_dir(file("")).env("PGCLIENTENCODING", "UTF8");
    let output = fed(&mut psql, script);
    let printed = split(&String::from_utf8(output.stdout).expect("psql prints UTF-8"), MARK);
    let errors = split(&String::from_utf8(output.stderr).expect("psql prints UTF-8"), MARK);
    assert_eq!((printed.len(), errors.len()), (parts.len(), parts.len()), "psql stopped early: {errors:?}");
    let both = |(printed, error): (String, String)| [printed, error].join("\n").trim_matches('\n').to_owned();
    printed.into_iter().zip(errors).map(both).collect()
}

/// Runs the SQL of a page; where it prints something else than the page says. With PG_RFM_UPDATE the page is mended instead,
/// unless an error comes or goes.
fn differences(page: &Page) -> String {
    let blocks = page.blocks();
    let examples = examples(&blocks, &page.lines);
    let mut differences = String::new();
    if examples.is_empty() {
        return differences;
    }
    // The pages begin with CREATE EXTENSION.
    let database = Database::empty("page");
    let sql: Vec<_> = examples.iter().map(|example| page.lines[example.sql.lines.clone()].join("\n")).collect();
    let printed = run(&database.name, &sql);

    let update = env::var_os("PG_RFM_UPDATE").is_some();
    let mut updated = page.lines.clone();
    // From the end, so that the positions of what comes before stay true.
    for (example, printed) in examples.iter().zip(&printed).rev() {
        let said = example.output.map_or(String::new(), |block| {
            page.lines[block.lines.clone()].iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
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
            write!(differences, "\n{}:{at} prints\n{printed}\ninstead of\n{said}\n", page.name)
                .expect("a String takes everything");
        }
    }
    if update {
        fs::write(file(&page.name), updated.join("\n") + "\n").expect("the page can be written");
    }
    differences
}

#[test]
fn sql_prints_what_the_pages_say() {
    let pages = pages();
    let differences: String = std::thread::scope(|scope| {
        let runs: Vec<_> = pages.iter().map(|page| scope.spawn(|| differences(page))).collect();
        runs.into_iter().map(|run| run.join().expect("a page runs to its end")).collect()
    });
    assert!(differences.is_empty(), "{differences}\nPG_RFM_UPDATE=1 writes what it prints into the pages.");
}

/// A page says `\i docs/shop.sql` where README.md shows the statements themselves: they are the same.
#[test]
fn the_small_shop_is_that_of_the_readme() {
    let readme = pages().into_iter().find(|page| page.name == "README.md").expect("there is a README.md");
    let sql: Vec<String> = examples(&readme.blocks(), &readme.lines)
        .iter()
        .map(|example| readme.lines[example.sql.lines.clone()].join("\n"))
        .collect();
    let shown = sql.join("\n");
    let script = read(SHOP);
    let paragraphs = script.split("\n\n").filter(|paragraph| !paragraph.starts_with("--"));
    for paragraph in paragraphs {
        assert!(shown.contains(paragraph.trim_end()), "README.md does not show this of {SHOP}:\n{paragraph}");
    }
}

#[test]
fn quotations_stand_in_the_file_they_name() {
    let mut count = 0;
    for page in pages() {
        for block in page.blocks() {
            let Some(file) = &block.quoted else { continue };
            count += 1;
            let text = read(file);
            let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
            let quoted: Vec<&str> = page.lines[block.lines.clone()].iter().map(|line| line.trim_end()).collect();
            let mut from = 0;
            for piece in quoted.split(|line| *line == "...").filter(|piece| !piece.is_empty()) {
                let found = lines[from..].windows(piece.len()).position(|window| window == piece);
                let found = found.unwrap_or_else(|| {
                    panic!(
                        "{}:{}: not in {file}, or not in one piece:\n{}",
                        page.name,
                        block.lines.start,
                        piece.join("\n")
                    )
                });
                from += found + piece.len();
            }
        }
    }
    assert!(count >= 10, "the pages have lost their quotations");
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    for page in &pages {
        for link in page.links() {
            let (target, anchor) = page.follow(link);
            assert!(file(&target).exists(), "{}: no file {link}", page.name);
            if let Some(anchor) = anchor {
                let there = pages.iter().find(|other| other.name == target);
                let there = there.unwrap_or_else(|| panic!("{}: {link} is no page", page.name));
                assert!(there.anchors().contains(anchor), "{}: no heading for {link}", page.name);
            }
        }
    }
}

/// A file that a page names in code is there, by its path or by the end of it: a list of files to touch must not lead astray.
#[test]
fn files_that_are_named_exist() {
    let mut files = Vec::new();
    find_files("", &mut files);
    let is_path = |word: &str| {
        let ending = word.rsplit_once('.').map(|(_, ending)| ending);
        let is_file =
            !word.starts_with('.') && matches!(ending, Some("rs" | "sql" | "json" | "toml" | "sh" | "md" | "out"));
        (is_file || word.starts_with("src/")) && !word.contains([' ', '*', '<', '('])
    };
    let mut count = 0;
    for page in pages() {
        for word in page.prose().flat_map(|line| line.split('`').skip(1).step_by(2)).filter(|word| is_path(word)) {
            count += 1;
            let is_there = file(word).exists()
                || files.iter().any(|file| file.strip_suffix(word).is_some_and(|folder| folder.ends_with('/')));
            assert!(is_there, "{}: no file {word}", page.name);
        }
    }
    assert!(count > 50, "the pages name few files");
}

/// A key, an argument or a table that has two rows in a list is explained in two ways.
#[test]
fn what_a_table_lists_has_one_row() {
    for page in pages() {
        let mut listed = HashSet::new();
        for line in page.prose() {
            if !line.starts_with('|') {
                listed.clear();
            }
            if let Some((cell, _)) = line.strip_prefix("| `").and_then(|row| row.split_once(" | ")) {
                assert!(listed.insert(cell.to_owned()), "{}: two rows of `{cell}", page.name);
            }
        }
    }
}

/// README.md is the door, docs/README.md the index: from there every page is one step away.
#[test]
fn every_page_can_be_found() {
    let pages = pages();
    let readme = pages.iter().find(|page| page.name == "README.md").expect("there is a README.md");
    assert!(readme.lines.len() <= 250, "README.md has {} lines, more than 250", readme.lines.len());
    let index = pages.iter().find(|page| page.name == "docs/README.md").expect("there is a docs/README.md");
    let linked: HashSet<String> = index.links().into_iter().map(|link| index.follow(link).0).collect();
    for page in pages.iter().filter(|page| page.name.starts_with("docs/") && page.name != index.name) {
        assert!(linked.contains(&page.name), "docs/README.md does not lead to {}", page.name);
    }
}

/// What the database knows of the extension must stand on the page for it: each row is what is looked for.
#[test]
fn everything_has_its_place_and_every_object_a_comment() {
    let database = Database::new("names");
    let extension = "refclassid = 'pg_extension'::regclass AND deptype = 'e'
        AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_rfm')
        -- Array types and row types of tables, members since PostgreSQL 17, come with what they are made of.
        AND NOT (classid = 'pg_type'::regclass
                 AND objid IN (SELECT typarray FROM pg_type UNION ALL SELECT reltype FROM pg_class WHERE relkind IN ('r', 'v')))";
    for (what, page, query) in [
        (
            "functions and aggregates",
            "docs/reference/functions.md docs/reference/predictions.md",
            format!(
                "SELECT DISTINCT '`' || proname FROM pg_proc JOIN pg_depend ON classid = 'pg_proc'::regclass AND objid = pg_proc.oid
                 WHERE {extension} AND proname !~ '^(_|purchase_history_|engagement_history_|contact_history_|membership_history_|segment_policy_|jsonb_to_|[fm]_score$)'
                       AND proname !~ '^(scenario|purchase_model)_(in|out|recv|send|eq|ne|lt|le|gt|ge|cmp|hash|hash_extended)$'"
            ),
        ),
        (
            "columns of segment_customer",
            "docs/reference/functions.md",
            "SELECT format('| %s | %s | %s |', name, type, description) FROM customer_columns()".to_owned(),
        ),
        (
            "keys of the policy and their defaults",
            "docs/reference/policy-keys.md",
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
            "docs/reference/policy-keys.md",
            "SELECT format('%s %s', key, value -> 'weight') FROM jsonb_each(effective_policy(NULL) #> '{relation,kinds}')".to_owned(),
        ),
        ("presets", "docs/reference/policy-keys.md", "SELECT format('| %s |', name) FROM policy_presets()".to_owned()),
        ("scenarios", "docs/guide/scenarios.md", "SELECT format('| %s | %s |', priority, name) FROM scenario_presets()".to_owned()),
        ("messages", "docs/guide/scenarios.md", "SELECT format('| %s | %s | %s |', message_key, title_en, title_ja) FROM message_keys()".to_owned()),
        (
            "next actions",
            "docs/reference/actions.md",
            "SELECT format('| %s | %s | %s |', action, title, title_ja) FROM next_actions()".to_owned(),
        ),
        ("rules", "docs/reference/actions.md", "SELECT format('| %s |', rule) FROM next_actions()".to_owned()),
        (
            "segments",
            "docs/reference/states.md",
            "SELECT format('| %s |', r ->> 'name') FROM jsonb_array_elements(effective_policy(NULL) #> '{segments,rules}') AS r".to_owned(),
        ),
        (
            "labels",
            "docs/reference/states.md",
            "SELECT format('| %s | %s |', state, label_ja) FROM lifecycle_states()
             UNION ALL SELECT format('| %s | %s |', stage, label_ja) FROM purchase_stages()
             UNION ALL SELECT format('| %s | %s |', tier, label_ja) FROM vip_tiers()
             UNION ALL SELECT format('| %s | %s |', membership, label_ja) FROM memberships()
             UNION ALL SELECT format('| %s | %s |', category, label_ja) FROM dormancy_categories()
             UNION ALL SELECT format('| %s | %s |', reason, label_ja) FROM dormancy_reasons()"
                .to_owned(),
        ),
        (
            "reasons of due steps",
            "docs/guide/scenarios.md",
            "SELECT format('| %s | %s |', why, label_ja) FROM due_step_reasons()".to_owned(),
        ),
    ] {
        let found = database.psql(&query);
        assert!(!found.is_empty(), "no {what}");
        let text: String = page.split(' ').map(read).collect();
        let missing: Vec<_> = found.lines().filter(|wanted| !text.contains(wanted)).collect();
        assert!(missing.is_empty(), "{page} lacks {what}: {missing:#?}");
    }

    let actions = read("docs/reference/actions.md");
    let (_, facts) = actions.split_once("| facts | values |").expect("there is a table of facts");
    let (facts, _) = facts.split_once("\n\n").expect("the table ends");
    let named: HashSet<&str> = facts.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    for fact in known_to_rules() {
        assert!(named.contains(fact.name), "the table of facts lacks {}", fact.name);
    }

    let uncommented = database.psql(&format!(
        "SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
         WHERE {extension} AND obj_description(objid, classid::regclass::name) IS NULL"
    ));
    assert_eq!(uncommented, "", "src/sql/comments.sql lacks these");
}
