//! Where a tool may be reached: which addresses are the whole world's, and what a tool's URL must look like.
//!
//! A tool is called from inside our own network. Whoever can change an agent, or a name server, must not be able to make
//! the node knock on doors that only the inside can reach: the cloud's metadata, a database, a neighbour.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest URL, in bytes.
const URL_BYTES_MAX: usize = 2_000;

/// Whether everybody on the internet means the same machine by this address.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The IPv4 addresses that are not set aside (IANA: IPv4 Special-Purpose Address Registry).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

/// The IPv6 addresses that are handed out (2000::/3), less those set aside, and those that carry an IPv4 address (IANA:
/// IPv6 Special-Purpose Address Registry).
fn is_public_v6(address: Ipv6Addr) -> bool {
    let words = address.segments();
    let carried = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match words {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => carried(high, low),
        [0x2002, high, low, ..] => carried(high, low),
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, ..] => false,
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

/// What a tool's URL is, as far as it can be told without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ToolUrl {
    pub(super) is_https: bool,
    /// Whether its host is surely not the whole world's.
    pub(super) is_private: bool,
}

/// Reads a tool's URL, strictly: what two readers could read differently is refused.
pub(super) fn read(url: &str) -> Result<ToolUrl, &'static str> {
    if url.len() > URL_BYTES_MAX {
        return Err("has more than 2000 bytes");
    }
    if !url.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#' | b'"' | b'<' | b'>')) {
        return Err("has blanks, a fragment, or characters that do not belong into a URL");
    }
    let (is_https, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return Err("does not begin with https://"),
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("has a user name or password in it; the request is signed instead");
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some("443"))),
        None => authority.split_once(':').map_or((authority, Some("443")), |(host, port)| (host, Some(port))),
    };
    if port.is_none_or(|port| port.parse::<u16>().is_err()) {
        return Err("has a port that is none");
    }
    let is_private = if authority.starts_with('[') {
        !is_public_v6(host.parse().map_err(|_| "has an address that is none")?)
    } else {
        is_private_name(host)?
    };
    Ok(ToolUrl { is_https, is_private })
}

fn is_private_name(host: &str) -> Result<bool, &'static str> {
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err("has no host, or one that cannot be");
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    // What ends like a number is read as an IPv4 address, in forms that few people know (URL Standard: host parsing).
    if last.starts_with(|first: char| first.is_ascii_digit()) {
        let address: Ipv4Addr = name.parse().map_err(|_| "has an address that is none")?;
        return Ok(!is_public_v4(address));
    }
    Ok(!name.contains('.') || matches!(last, "localhost" | "local" | "internal" | "lan" | "home" | "intranet"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_whole_worlds_is_public() {
        for address in ["8.8.8.8", "1.1.1.1", "203.0.114.1", "2606:4700::1", "2002:808:808::", "64:ff9b::808:808"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2001:db8::1",
            "2001::1",
            "2002:a00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_url_is_read_strictly_and_its_host_is_known_for_what_it_is() {
        let of = |is_https, is_private| Ok(ToolUrl { is_https, is_private });
        for (url, expected) in [
            ("https://tools.example.com/find?x=1", of(true, false)),
            ("https://tools.example.com:8443", of(true, false)),
            ("http://tools.example.com/", of(false, false)),
            ("https://localhost:9000/", of(true, true)),
            ("https://db/", of(true, true)),
            ("https://metadata.google.internal/", of(true, true)),
            ("https://169.254.169.254/latest", of(true, true)),
            ("https://8.8.8.8/", of(true, false)),
            ("https://[::1]:9000/", of(true, true)),
            ("https://[2606:4700::1]/", of(true, false)),
        ] {
            assert_eq!(read(url), expected, "{url}");
        }
        for url in [
            "",
            "tools.example.com",
            "ftp://tools.example.com",
            "https://",
            "https:///x",
            "https://a b/",
            "https://u:p@example.com/",
            "https://example.com/#x",
            "https://example.com\\@evil.example/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://127.1/",
            "https://example.com:99999/",
            "https://[::1/",
            "https://exa%6dple.com/",
        ] {
            assert!(read(url).is_err(), "{url}");
        }
    }
}
