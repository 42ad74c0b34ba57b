//! The rules of `ARCHITECTURE.md` that a machine can check: imports, lengths, who may touch the outside world.

use std::fs;
use std::path::{Path, PathBuf};

/// Which modules a module may import.
const ALLOWED: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("rng", &[]),
    ("hint", &[]),
    ("command", &[]),
    ("profile", &["units"]),
    ("layout", &["units", "profile"]),
    ("bytes", &["units", "profile", "layout"]),
    ("workload", &["units", "rng", "command"]),
    ("node", &["units", "rng", "hint", "command", "layout", "profile"]),
    ("record", &["units", "node"]),
    ("scenario", &["units", "command", "profile", "workload", "node"]),
    ("sim", &["units", "rng", "command", "layout", "profile", "workload", "node", "record", "scenario"]),
    ("analysis", &["units", "scenario", "record", "sim", "node"]),
    ("plan", &["units", "scenario", "record", "sim", "node", "profile", "analysis"]),
    ("report", &["plan", "analysis", "record", "units", "node", "bytes", "layout"]),
    ("validate", &["layout", "profile", "scenario", "sim", "record", "analysis", "node", "units"]),
    ("live", &["units", "command", "profile", "node", "record", "scenario", "sim"]),
    (
        "cli",
        &[
            "live", "bytes", "layout", "profile", "analysis", "plan", "report", "scenario", "sim", "validate", "units",
            "record",
        ],
    ),
];

/// Longest file [lines].
const FILE_LINES: usize = 600;

/// What only the command line and what drives a server may use.
const OUTSIDE: &[&str] =
    &["std::fs", "std::env", "std::process", "Instant::now", "SystemTime::now", "println!", "eprintln!"];

fn sources() -> Vec<(String, PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(&root).expect("inside src").to_string_lossy().into_owned();
            let module = inside.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).expect("a source file");
            (module, path, text)
        })
        .collect()
}

/// The lines that are neither comments nor tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end].lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains("tests"))
}

#[test]
fn modules_import_only_what_the_architecture_allows() {
    for (module, path, text) in sources() {
        if ["lib", "main"].contains(&module.as_str()) || is_test(&path) {
            continue;
        }
        let (_, allowed) =
            ALLOWED.iter().find(|(name, _)| *name == module).unwrap_or_else(|| panic!("{module} is listed"));
        for line in code(&text) {
            for import in line.split("crate::").skip(1) {
                let name = import.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
                let fine = name.is_empty() || name == module || allowed.contains(&name);
                assert!(fine, "{}: {module} imports {name}: {line}", path.display());
            }
        }
    }
}

#[test]
fn only_the_command_line_and_driven_servers_touch_the_outside_world() {
    for (module, path, text) in sources() {
        if ["cli", "main", "live"].contains(&module.as_str()) || is_test(&path) {
            continue;
        }
        for line in code(&text) {
            for word in OUTSIDE {
                assert!(!line.contains(word), "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn files_stay_short_and_finished() {
    for (_, path, text) in sources() {
        assert!(text.lines().count() <= FILE_LINES, "{} is too long", path.display());
        for word in ["todo!(", "unimplemented!(", "#[ignore"] {
            assert!(!text.contains(word), "{} holds {word}", path.display());
        }
    }
}

#[test]
fn documents_say_what_they_must() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect(name);
    assert!(read("CHANGELOG.md").contains("### Results"));
    for (module, _) in ALLOWED {
        assert!(read("ARCHITECTURE.md").contains(&format!("`{module}`")), "ARCHITECTURE.md names {module}");
    }
}

/// Documents whose links must lead somewhere, besides those of `docs/`.
const LINKED: &[&str] =
    &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "scenarios/README.md", "validation/README.md"];

/// Targets of the links and pictures of a Markdown text: what stands in `](…)`, without the part after `#`.
fn link_targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ', '#']).next())
}

#[test]
fn local_links_of_documents_lead_to_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents: Vec<PathBuf> = LINKED.iter().map(|name| root.join(name)).collect();
    let docs = fs::read_dir(root.join("docs")).expect("a folder").map(|entry| entry.expect("an entry").path());
    documents.extend(docs.filter(|path| path.extension().is_some_and(|e| e == "md")));
    let mut links = 0;
    for document in documents {
        let text = fs::read_to_string(&document).expect("a document");
        let folder = document.parent().expect("a folder");
        for target in link_targets(&text).filter(|target| !target.is_empty() && !target.contains("://")) {
            assert!(folder.join(target).exists(), "{}: no {target}", document.display());
            links += 1;
        }
    }
    assert!(links > 0, "links are found");
}
