//! `capsim bytes`: its three formats, its hints and its exit statuses.

use assert_cmd::Command;

fn bytes(arguments: &[&str]) -> std::process::Output {
    Command::cargo_bin("capsim").expect("the binary").arg("bytes").args(arguments).output().expect("it runs")
}

fn printed(arguments: &[&str]) -> String {
    let output = bytes(arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn refused(arguments: &[&str]) -> String {
    let output = bytes(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn each_type_is_priced_block_by_block() {
    insta::assert_snapshot!("string", printed(&["string", "--key", "36", "--value", "224", "--ttl"]));
    insta::assert_snapshot!("hash", printed(&["hash", "--fields", "20", "--field", "8", "--value", "50"]));
    let system = ["--profile", "valkey-9.1", "--allocator", "system"];
    insta::assert_snapshot!("zset", printed(&[&["zset", "--members", "500", "--member", "16"], &system[..]].concat()));
    insta::assert_snapshot!("set", printed(&["set", "--members", "1000", "--member", "12"]));
    insta::assert_snapshot!("intset", printed(&["intset", "--members", "500", "--profile", "redis-6.2"]));
    insta::assert_snapshot!("list", printed(&["list", "--elements", "10000", "--element", "64"]));
    insta::assert_snapshot!("stream", printed(&["stream", "--entries", "1000", "--value", "50"]));
    insta::assert_snapshot!("hyperloglog", printed(&["hyperloglog", "--distinct", "500"]));
    insta::assert_snapshot!("bitmap", printed(&["bitmap", "--bits", "1000000"]));
    insta::assert_snapshot!("int", printed(&["int", "--value", "-7", "--unshared-integers"]));
}

#[test]
fn ttls_of_fields_groups_and_room_to_grow_are_priced_too() {
    let ten = ["hash", "--fields", "10", "--field", "7", "--value", "10"];
    let of = |more: &[&str]| printed(&[&ten[..], more].concat());
    let redis = ["--profile", "redis-8.0", "--allocator", "system"];
    insta::assert_snapshot!("hash_before_field_ttls", of(&redis));
    insta::assert_snapshot!("hash_field_ttl", of(&[&["--field-ttl", "5"], &redis[..]].concat()));
    let valkey = ["--profile", "valkey-9.1", "--allocator", "system"];
    insta::assert_snapshot!("hash_field_ttl_valkey", of(&[&["--field-ttl"], &valkey[..]].concat()));
    let table = ["hash", "--fields", "600", "--field", "9", "--value", "10", "--field-ttl", "--profile", "redis-7.4"];
    insta::assert_snapshot!("hash_field_ttl_table", printed(&table));
    let all = of(&["--field-ttl", "--all-profiles"]);
    assert!(all.contains("redis-7.4") && all.contains("valkey-9.1") && !all.contains("redis-7.2"), "{all}");
    insta::assert_snapshot!("hash_field_ttl_all_profiles", all);
    insta::assert_snapshot!("hash_field_ttl_json", of(&["--field-ttl", "--profile", "redis-8.0", "--format", "json"]));
    let stream =
        ["stream", "--entries", "1000", "--value", "50", "--groups", "2", "--consumers", "3", "--pending", "100"];
    insta::assert_snapshot!("stream_groups", printed(&stream));
    insta::assert_snapshot!("string_appended", printed(&["string", "--value", "100", "--appended-from", "60"]));
    assert!(refused(&[&ten[..], &["--field-ttl"]].concat()).contains("redis-7.2 has no TTLs of hash fields; expected"));
    assert!(refused(&[&ten[..], &["--field-ttl", "11"], &redis[..]].concat()).contains("at most --fields 10"));
    assert!(refused(&["string", "--value", "9", "--appended-from", "9"]).contains("less than --value 9"));
    refused(&["stream", "--entries", "9", "--value", "5", "--pending", "3"]);
    let many = ["stream", "--entries", "9", "--value", "5", "--groups", "1", "--pending", "10"];
    assert!(refused(&many).contains("at most --entries 9"));
}

#[test]
fn all_profiles_are_a_table() {
    let text = printed(&["string", "--key", "16", "--value", "100", "--all-profiles"]);
    assert_eq!(text.lines().filter(|line| line.contains("valkey") || line.contains("redis")).count(), 27);
    insta::assert_snapshot!("all_profiles", text);
    let table = printed(&["string", "--value", "100", "--all-profiles", "--format", "markdown"]);
    insta::assert_snapshot!("all_profiles_markdown", table);
}

#[test]
fn json_has_every_figure_unrounded() {
    let text = printed(&["set", "--members", "200", "--member", "10", "--keys", "5000", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let answer = &json["answers"][0];
    let sum = |name: &str| -> f64 {
        answer[name].as_array().expect("blocks").iter().map(|b| b["bytes"].as_f64().expect("bytes")).sum()
    };
    let figure = |name: &str| answer[name].as_f64().expect("a figure");
    assert!((sum("allocations") - figure("bytes_key")).abs() < 1e-9);
    assert!((sum("tables") / 5000.0 - figure("bytes_table_share")).abs() < 1e-9);
    assert!((figure("bytes_key") + figure("bytes_table_share") - figure("bytes_total")).abs() < 1e-9);
    insta::assert_snapshot!("json", text);
    insta::assert_snapshot!("markdown", printed(&["hash", "--fields", "600", "--value", "9", "--format", "markdown"]));
}

#[test]
fn thresholds_come_from_redis_conf() {
    let of = |config: &[&str]| printed(&[&["hash", "--fields", "100", "--value", "9"], config].concat());
    assert!(of(&[]).contains("encoding listpack"));
    assert!(of(&["--config", "hash-max-listpack-entries=99"]).contains("encoding hashtable"));
    assert!(of(&["--config", "hash-max-ziplist-value=8"]).contains("encoding hashtable"), "the old name");
}

#[test]
fn what_cannot_be_priced_is_refused_with_a_hint() {
    assert!(refused(&["hsh", "--fields", "3"]).contains("similar subcommand exists: 'hash'"));
    assert!(refused(&["list", "--elements", "5", "--element", "9gb"]).contains("at most 512mb"));
    assert!(refused(&["list", "--elements", "5", "--element", "nine"]).contains("a size like 224 or 10kb"));
    assert!(refused(&["list", "--elements", "0", "--element", "9"]).contains("1..=100000000"));
    assert!(refused(&["string", "--value", "9", "--profile", "redis-7.1"]).contains("redis-7"));
    assert!(refused(&["zset", "--members", "9", "--member", "9", "--score", "nan"]).contains("expected a number"));
    let typo = refused(&["string", "--value", "9", "--config", "hash-max-listpack-entrys=4"]);
    assert!(typo.contains("did you mean hash-max-listpack-entries?"), "{typo}");
    assert!(refused(&["string", "--value", "9", "--config", "maxmemory"]).contains("expected NAME=VALUE"));
    assert!(refused(&["string", "--value", "9", "--config", "set-max-intset-entries=many"]).contains("a number"));
    refused(&["string", "--value", "9", "--profile", "redis-7.2", "--all-profiles"]);
}
