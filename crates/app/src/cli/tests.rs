//! The manual, and that the documented lines parse.

use clap::CommandFactory;

use super::*;

/// The whole manual: the help of the program and of each of its commands.
#[test]
fn help() {
    let mut manual = String::new();
    write_help(&mut Cli::command().term_width(100), &mut manual);
    insta::assert_snapshot!(manual);
}

fn write_help(command: &mut clap::Command, manual: &mut String) {
    let (name, help) = (command.get_name().to_owned(), command.render_long_help());
    manual.push_str(&format!("=== {name}\n{help}\n"));
    for inner in command.get_subcommands_mut() {
        if inner.get_name() != "help" {
            *inner = std::mem::take(inner).term_width(100);
            write_help(inner, manual);
        }
    }
}

#[test]
fn is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_documented_lines_parse() {
    let lines = [
        "walhouse run --config f",
        "walhouse demo",
        "walhouse demo --dir d --customers 1 --sales 2 --seed 3 --rate 4 --for 30s --postgres postgresql://h/d",
        "walhouse engine --data d --listen 127.0.0.1:8123 --kafka",
        "walhouse kafka-tables --config f --print",
        "walhouse kafka-tables --config f --apply",
        "walhouse import --config f --again",
        "walhouse import --config f --json",
        "walhouse console --config f --console 127.0.0.1:9090",
        "walhouse verify --config f --json",
        "walhouse check --config f --json",
        "walhouse status --config f --json",
        "walhouse teardown --config f --tables",
        "walhouse watch t --bootstrap h:1",
        "walhouse watch t u.* --bootstrap h:1,h:2 --from 0/16B3748 --key 7 --table public.t --diff --color never",
        "walhouse watch t --bootstrap h:1 --from 10m --json --no-follow --count 5 -X security.protocol=SSL",
        "walhouse rembo create --postgres u",
        "walhouse rembo alter --postgres u",
        "walhouse rembo seed --customers 1 --sales 2 --seed 3 --until 2024-01-31 --postgres u",
        "walhouse rembo sell --postgres u",
        "walhouse rembo load --rate 5 --postgres u",
        "walhouse rembo drop --postgres u",
        "walhouse rembo views --clickhouse u",
        "walhouse --default-config",
    ];
    for line in lines {
        Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}
