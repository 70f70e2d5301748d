//! Pods that run, as people use them: kubectl, Debian's redis, and names. Where kubectl, redis or namespaces are missing these
//! tests wait, and say so; `CONTROL_PLANE=required` has them fail instead.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod flow;
mod hostile;
mod images;
mod kept;
mod sandbox;
mod services;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod times;

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};
use sandbox::{Sandbox, User};
use support::control_plane::Programs;

fn main() -> ExitCode {
    let programs = Programs::find();
    let missing = missing(programs.as_ref());
    if let Some(why) = &missing {
        support::report(&format!("the tests of Pods that run wait: {why}"));
        #[expect(
            clippy::disallowed_methods,
            reason = "where the tests are told of the environment"
        )]
        if std::env::var("CONTROL_PLANE").is_ok_and(|wanted| wanted == "required") {
            return ExitCode::FAILURE;
        }
    }
    let mut trials = Vec::new();
    for user in User::all() {
        let tests = [
            flow::TESTS,
            hostile::TESTS,
            images::TESTS,
            kept::TESTS,
            services::TESTS,
            streams::TESTS,
        ];
        for (name, run) in tests.iter().copied().flatten() {
            let programs = programs.clone();
            let run = move || {
                run(Sandbox::start(programs.unwrap(), user));
                Ok(())
            };
            let trial = Trial::test(format!("{name} ({user})"), run);
            trials.push(trial.with_ignored_flag(missing.is_some()));
        }
    }
    let example = || {
        example();
        Ok(())
    };
    let name = "an_example_starts_a_redis_set_and_asks_it_by_name";
    trials.push(Trial::test(name, example).with_ignored_flag(missing.is_some()));
    let times = || {
        times::times();
        Ok(())
    };
    // For people who want to know.
    trials.push(Trial::test("times", times).with_ignored_flag(true));
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The one in Python, which needs nothing but itself.
fn example() {
    let output = Command::new("python3")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/examples/python/redis_set.py"
        ))
        .arg(env!("CARGO_BIN_EXE_headless-dns"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wanted = |at: u8| format!("redis-{at}.redis.default.svc.cluster.local answers\n");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, (0..3).map(wanted).collect::<String>(), "{err}");
}

/// What these tests need and the machine has not.
fn missing(programs: Option<&Programs>) -> Option<String> {
    if programs.is_none() {
        return Some("`bash tests/control-plane/build` makes kubectl".into());
    }
    let redis = Command::new("redis-server").arg("--version").output();
    if redis.is_err() {
        return Some("`apt-get install redis-server` gives them redis".into());
    }
    if Command::new("mariadbd").arg("--version").output().is_err() {
        let what = "`apt-get install mariadb-server-core mariadb-client-core` gives them MariaDB";
        return Some(what.into());
    }
    sandbox::forbidden()
}
