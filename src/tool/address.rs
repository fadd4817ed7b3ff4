//! Classifies network addresses for fetch.
//!
//! Link-local and metadata addresses reveal a machine's credentials to anyone who can make it send a request, so they
//! are never reached. Loopback and private networks are reached only if the person could see that before approving the
//! call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressClass {
    Public,
    /// This machine.
    Loopback,
    /// The local network.
    Private,
    /// Never reached; with the reason.
    Forbidden(&'static str),
}

impl AddressClass {
    pub(super) fn is_local(self) -> bool {
        matches!(self, Self::Loopback | Self::Private)
    }

    pub(super) fn of_ip(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => class_of_v4(address),
            IpAddr::V6(address) => class_of_v6(address),
        }
    }

    /// Classifies a host by its spelling alone, without a lookup.
    pub(super) fn of_host(host: &str) -> Self {
        if let Some(address) = parse_ip_literal(host) {
            return Self::of_ip(address);
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
        if matches!(
            name.as_str(),
            "metadata" | "metadata.google.internal" | "metadata.goog" | "instance-data" | "instance-data.ec2.internal"
        ) {
            Self::Forbidden("a cloud metadata host")
        } else if name == "localhost" || name.ends_with(".localhost") {
            Self::Loopback
        } else if !name.contains('.')
            || ends(&[".local", ".lan", ".internal", ".intranet", ".home.arpa", ".corp", ".home"])
        {
            Self::Private
        } else {
            Self::Public
        }
    }
}

/// Returns the address if the host is written as one.
pub(super) fn parse_ip_literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// Normalizes a URL so that rules match however it is spelled. The parser has already normalized odd number formats,
/// capitals and dots in the path; this handles a trailing dot of the host name, an IPv4 address in an IPv6 one, and
/// characters that are needlessly escaped, such as `%41`.
pub(super) fn normalize(mut url: Url) -> Url {
    let host = url.host_str().unwrap_or_default();
    let named = match parse_ip_literal(host) {
        Some(IpAddr::V6(address)) => address.to_ipv4_mapped().map(|address| address.to_string()),
        Some(IpAddr::V4(_)) => None,
        None => host.strip_suffix('.').map(str::to_owned),
    };
    // A host that the parser rejects is left unchanged.
    if let Some(named) = named {
        let _ = url.set_host(Some(&named));
    }
    if let Some(path) = decode_unreserved(url.path()) {
        url.set_path(&path);
    }
    if let Some(query) = url.query().and_then(decode_unreserved) {
        url.set_query(Some(&query));
    }
    url
}

/// Decodes the letters, digits and `-._~` of a path or query (RFC 3986, 6.2.2.2); `None` if there are none to decode.
fn decode_unreserved(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut out = parts.next()?.to_owned();
    let mut changed = false;
    for part in parts {
        let code = part.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(c) if c.is_ascii_alphanumeric() || b"-._~".contains(&c) => {
                changed = true;
                out.push(char::from(c));
                out.push_str(&part[2..]);
            }
            _ => {
                out.push('%');
                out.push_str(part);
            }
        }
    }
    changed.then_some(out)
}

fn class_of_v4(address: Ipv4Addr) -> AddressClass {
    let [a, b, ..] = address.octets();
    if address.is_link_local() {
        return AddressClass::Forbidden("a link-local or metadata address");
    }
    // The metadata services of Alibaba, Azure and Oracle are not link-local.
    if matches!(address.octets(), [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192]) {
        return AddressClass::Forbidden("a cloud metadata address");
    }
    if a == 0 {
        return AddressClass::Forbidden("an unspecified address");
    }
    if address.is_multicast() || address.is_broadcast() || a >= 240 {
        return AddressClass::Forbidden("a multicast, broadcast or reserved address");
    }
    if address.is_loopback() {
        return AddressClass::Loopback;
    }
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_for_tests = a == 198 && (18..20).contains(&b);
    if address.is_private() || is_shared || is_for_tests || address.octets()[..3] == [192, 0, 0] {
        return AddressClass::Private;
    }
    AddressClass::Public
}

fn class_of_v6(address: Ipv6Addr) -> AddressClass {
    let parts = address.segments();
    // Addresses that embed another: mapped, compatible, translated (RFC 6052, RFC 8215), 6to4.
    if let Some(inner) = address.to_ipv4_mapped() {
        return class_of_v4(inner);
    }
    if address.is_loopback() {
        return AddressClass::Loopback;
    }
    if address.is_unspecified() {
        return AddressClass::Forbidden("an unspecified address");
    }
    let [.., high, low] = parts;
    let carries = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match parts {
        [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => return class_of_v4(carries(high, low)),
        [0x64, 0xff9b, 1, ..] => return AddressClass::Private,
        [0x2002, high, low, ..] => return class_of_v4(carries(high, low)),
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => {
            return AddressClass::Forbidden("a cloud metadata address");
        }
        _ => {}
    }
    match parts[0] {
        0xfe80..=0xfebf => AddressClass::Forbidden("a link-local address"),
        0xff00.. => AddressClass::Forbidden("a multicast address"),
        // Unique local, and the site-local range that it replaced.
        0xfc00..=0xfdff | 0xfec0..=0xfeff => AddressClass::Private,
        _ => AddressClass::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_spelled_in_one_way() {
        for (given, spelled) in [
            ("http://OTHER.example./x", "http://other.example/x"),
            ("http://[::ffff:127.0.0.1]:8/x", "http://127.0.0.1:8/x"),
            ("http://0x7f.1/x", "http://127.0.0.1/x"),
            ("http://h/%73ecret/%2e%2E/%7Eme?k=%41%26", "http://h/~me?k=A%26"),
            ("http://h/a%2Fb%20c%zz%", "http://h/a%2Fb%20c%zz%"),
            ("http://h/%2573", "http://h/%2573"),
            ("http://[2001:db8::1]/x", "http://[2001:db8::1]/x"),
        ] {
            assert_eq!(normalize(Url::parse(given).unwrap()).as_str(), spelled, "{given}");
        }
    }

    #[test]
    fn addresses_have_their_kind_however_they_are_written() {
        let public = ["93.184.216.34", "8.8.8.8", "2606:4700::1", "64:ff9b::8.8.8.8", "example.com", "a.localhost.com"];
        let loopback = ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1", "localhost", "app.LOCALHOST."];
        let private = [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd12::1",
            "::ffff:10.0.0.1",
            "2002:a00:1::",
            "printer",
            "nas.local",
            "x.internal",
        ];
        let forbidden = [
            "169.254.169.254",
            "169.254.0.1",
            "[fe80::1]",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "::169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "ff02::1",
            "100.100.100.200",
            "168.63.129.16",
            "metadata.google.internal",
            "METADATA.google.internal.",
        ];
        for host in public {
            assert_eq!(AddressClass::of_host(host), AddressClass::Public, "{host}");
        }
        for host in loopback {
            assert_eq!(AddressClass::of_host(host), AddressClass::Loopback, "{host}");
        }
        for host in private {
            assert_eq!(AddressClass::of_host(host), AddressClass::Private, "{host}");
        }
        for host in forbidden {
            assert!(matches!(AddressClass::of_host(host), AddressClass::Forbidden(_)), "{host}");
        }
    }
}
