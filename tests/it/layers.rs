//! A module uses only modules above it in the table of the crate's documentation.

use std::{
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The modules in the order of the table in `src/lib.rs`.
fn order() -> Vec<String> {
    let text = fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).unwrap();
    let rows =
        text.lines().skip_while(|line| *line != "//! # Modules").skip(1).take_while(|line| !line.starts_with("//! # "));
    let named = rows.filter_map(|line| line.strip_prefix("//! | [`")?.split_once("`] |"));
    named.map(|(name, _)| name.to_owned()).collect()
}

/// Every source file with the module it belongs to.
fn sources() -> Vec<(String, PathBuf)> {
    fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, files),
                false if path.extension().is_some_and(|extension| extension == "rs") => files.push(path),
                false => {}
            }
        }
    }
    let src = Path::new(ROOT).join("src");
    let mut files = Vec::new();
    walk(&src, &mut files);
    files.sort();
    let module = |path: &PathBuf| {
        let first = path.strip_prefix(&src).unwrap().components().next().unwrap();
        first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
    };
    let named = files.into_iter().map(|path| (module(&path), path));
    named.filter(|(module, _)| module != "lib" && module != "main").collect()
}

/// The modules that a text names behind `crate::`, alone or in braces, outside comments.
fn used(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
    let code = code.join("\n");
    let word =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.push(word(rest));
            continue;
        };
        let (mut depth, mut from) = (0, 0);
        for (to, c) in list.char_indices() {
            match c {
                ',' | '}' if depth == 0 => {
                    names.push(word(&list[from..to]));
                    from = to + 1;
                    if c == '}' {
                        break;
                    }
                }
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn braces_and_paths_are_read() {
    let text = "use crate::{\n    a::{self, x::Y},\n    b,\n};\nuse crate::c::D; // crate::e\nlet f = crate::f::g();";
    assert_eq!(used(text), ["a", "b", "c", "f"]);
}

#[test]
fn modules_use_only_what_stands_above_them() {
    let order = order();
    let place = |name: &str| order.iter().position(|known| known == name);
    let sources = sources();
    for name in &order {
        assert!(
            sources.iter().any(|(module, _)| module == name),
            "the table in src/lib.rs names `{name}`, which is not there"
        );
    }
    let mut wrong = Vec::new();
    for (module, path) in &sources {
        let shown = path.strip_prefix(ROOT).unwrap().display();
        let Some(own) = place(module) else {
            wrong.push(format!("{shown}: the table in src/lib.rs lacks `{module}`"));
            continue;
        };
        for name in used(&fs::read_to_string(path).unwrap()) {
            match place(&name) {
                Some(place) if place > own => wrong.push(format!("{shown}: `{module}` is above `{name}` and uses it")),
                None => wrong.push(format!("{shown}: `crate::{name}` is no module of the table in src/lib.rs")),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
