//! `--log` and `IDIOLECT_LOG`: records on standard error, where they are asked for.

use crate::run::{idiolect_where, workspace};

#[test]
fn records_come_on_standard_error_where_they_are_asked_for() {
    let home = workspace();
    // (options, variable, whether the opening of the model is told)
    for (options, variable, told) in [
        (&[][..], None, Some(false)),
        (&["--log", "info"], None, Some(true)),
        (&["--log", "warn"], None, Some(false)),
        (&[], Some("info"), Some(true)),
        (&["--log", "error"], Some("info"), Some(false)),
        (&["--log", "everything"], None, None),
        (&[], Some("everything"), None),
    ] {
        let args = [&["info", "base", "--json"], options].concat();
        let run = idiolect_where(home.path(), &args, |command| match variable {
            Some(level) => command.env("IDIOLECT_LOG", level),
            None => command.env_remove("IDIOLECT_LOG"),
        });
        let Some(told) = told else {
            assert_eq!(run.code, Some(2), "{options:?} {variable:?}: {}", run.stderr);
            continue;
        };
        run.object();
        let line = run.stderr.lines().find(|line| line.contains("idiolect::model: model opened file=\"base\""));
        assert_eq!(line.is_some(), told, "{options:?} {variable:?}: {}", run.stderr);
    }
}
