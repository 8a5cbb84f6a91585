use super::*;

fn refused(url: &str, allow: &str) -> bool {
    let allow = OutboundAllow::parse(allow).unwrap();
    Url::parse(url).map_or(true, |url| check_url(&url, &allow).is_err())
}

/// Ways to write an address that is not the receiver's business.
const HOSTILE: &[&str] = &[
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.0.1./",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://%31%32%37.0.0.1/",
    "https://127.0.0.1\u{3002}/",
    "https://\u{ff11}27.0.0.1/",
    "https://0.0.0.0/",
    "https://0/",
    "https://10.0.0.1/",
    "https://10.255.255.255/",
    "https://172.16.0.1/",
    "https://172.31.255.254/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://0xa9fea9fe/",
    "https://168.63.129.16/",
    "https://100.64.0.1/",
    "https://100.100.100.200/",
    "https://192.0.0.192/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://239.255.255.250/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://192.88.99.1/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[::127.0.0.1]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::10.0.0.1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[2001:db8::1]/",
    "https://[100::1]/",
    "https://[5f00::1]/",
];

#[test]
fn no_spelling_of_a_private_address_passes() {
    for url in HOSTILE {
        assert!(refused(url, ""), "{url}");
    }
}

#[test]
fn other_schemes_and_credentials_do_not_pass() {
    for url in [
        "http://a.example/",
        "http://93.184.216.34/",
        "ftp://a.example/",
        "file:///etc/passwd",
        "gopher://a.example/",
        "https://user@a.example/",
        "https://user:pass@a.example/",
        "https://a.example/#part",
        "https://",
    ] {
        assert!(refused(url, ""), "{url}");
    }
}

#[test]
fn public_addresses_pass() {
    for url in [
        "https://a.example/hooks?x=1",
        "https://a.example:8443/",
        "https://93.184.216.34/",
        "https://172.32.0.1/",
        "https://100.128.0.1/",
        "https://[2606:4700::1111]/",
        "https://[64:ff9b::5db8:d822]/",
    ] {
        assert!(!refused(url, ""), "{url}");
    }
}

#[test]
fn what_the_operator_names_passes_and_nothing_beside_it() {
    assert!(!refused("http://127.0.0.1:9000/", "127.0.0.1"));
    assert!(!refused("http://127.0.0.1:9000/", "127.0.0.0/8, fd00::/8"));
    assert!(!refused("http://[::ffff:127.0.0.1]/", "127.0.0.0/8"));
    assert!(!refused("https://[fd00::1]/", "fd00::/8"));
    assert!(!refused("http://[fd00::1]/", "[fd00::1]"));
    assert!(!refused("http://Receiver.internal/", "receiver.internal"));
    assert!(refused("http://127.0.0.2/", "127.0.0.1"));
    assert!(refused("http://other.internal/", "receiver.internal"));
    assert!(refused("https://169.254.169.254/", "10.0.0.0/8"));
    // What it resolves to is looked at when a connection is made.
    assert!(!refused("http://other.internal/", "10.0.0.0/8"));
}

#[test]
fn wrong_entries_are_named() {
    for wrong in
        ["10.0.0.0/33", "::/129", "a b", "10", "x/8", "a.example,,b", "http://a", "10.0.0.0/"]
    {
        let error = OutboundAllow::parse(wrong).unwrap_err();
        assert!(error.starts_with("entry "), "{wrong}: {error}");
    }
    assert_eq!(OutboundAllow::parse(" ").unwrap(), OutboundAllow::default());
}
