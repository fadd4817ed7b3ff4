use super::*;

fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
    of.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

#[test]
fn only_names_of_this_machine_lead_to_its_own_address() {
    let settings = Settings { loopback: true, ..Settings::default() };
    for host in ["localhost", "LOCALHOST:80", "127.0.0.1:7777", "[::1]:7777", "127.8.8.8", "app.localhost:1"] {
        assert_eq!(check_host_name(&settings, &headers(&[("host", host)])), Ok(()), "{host}");
    }
    for host in ["evil.example", "evil.example:7777", "127.0.0.1.evil.example", "", "[::ffff:1.2.3.4]", "10.0.0.1"] {
        assert_eq!(check_host_name(&settings, &headers(&[("host", host)])).unwrap_err().status, 403, "{host}");
    }
}

#[test]
fn a_request_names_one_host_and_one_page() {
    let asked = |target: &str, of: &[(&'static str, &str)]| {
        let mut all = HeaderMap::new();
        for (name, value) in of {
            all.append(*name, value.parse().unwrap());
        }
        check_single_host(&target.parse().unwrap(), &all).map_err(|refused| refused.status)
    };
    let here = ("host", "127.0.0.1:7777");
    assert_eq!(asked("/v1/info", &[here, ("origin", "http://a")]), Ok(()));
    assert_eq!(asked("http://127.0.0.1:7777/v1/info", &[here]), Ok(()));
    assert_eq!(asked("/v1/info", &[here, ("host", "evil.example")]), Err(400));
    assert_eq!(asked("/v1/info", &[here, ("origin", "http://a"), ("origin", "http://b")]), Err(400));
    assert_eq!(asked("http://evil.example/v1/info", &[here]), Err(400));
    assert_eq!(asked("http://127.0.0.1:7777/v1/info", &[]), Err(400));
}

#[test]
fn a_host_header_holds_one_host_and_a_port_at_most() {
    let asked = |host: &str| check_single_host(&"/v1/info".parse().unwrap(), &headers(&[("host", host)]));
    for host in ["", "localhost", "localhost:", "my_box.lan.:80", "127.0.0.1:7777", "[::1]", "[::1]:7777"] {
        assert_eq!(asked(host), Ok(()), "{host}");
    }
    for host in [
        "127.0.0.1:1, evil.example",
        "127.0.0.1,evil.example",
        "127.0.0.1 evil.example",
        "127.0.0.1:1:2",
        "127.0.0.1:port",
        "127.0.0.1:+1",
        "127.0.0.1:99999",
        "[::1].evil.example",
        "[::1",
        "[localhost]",
        "me@127.0.0.1",
        "127.0.0.1/evil.example",
    ] {
        assert_eq!(asked(host).unwrap_err().status, 400, "{host}");
    }
}

fn dripping(piece: usize, every: Duration) -> Body {
    Body::from_stream(futures_util::stream::unfold((), move |()| async move {
        tokio::time::sleep(every).await;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'x'; piece])), ()))
    }))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::convert::Infallible>>());
    let begun = Instant::now();
    assert_eq!(read_body(never, 100, None).await.unwrap_err().status, 408);
    assert_eq!(begun.elapsed(), BODY_CHUNK_TIMEOUT);
    let begun = Instant::now();
    assert_eq!(read_body(dripping(1, Duration::from_secs(1)), 1 << 20, None).await.unwrap_err().status, 408);
    assert_eq!(begun.elapsed(), SLOW_BODY_GRACE_DURATION);
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_that_keeps_coming_is_taken() {
    // 2 kB/s for two minutes, until the size limit is exceeded.
    let slow = read_body(dripping(2_048, Duration::from_secs(1)), 240_000, None).await;
    assert_eq!(slow.unwrap_err().status, 413);
    let pieces = futures_util::stream::iter(["a", "b"].map(Ok::<_, std::convert::Infallible>));
    assert_eq!(read_body(Body::from_stream(pieces), 2, None).await.unwrap(), "ab");
}

#[test]
fn a_page_of_another_origin_may_not_ask() {
    let mut settings = Settings::default();
    let asked = |settings: &Settings, origin: &str| {
        allowed_origin(settings, &headers(&[("host", "127.0.0.1:7777"), ("origin", origin)]))
    };
    assert_eq!(allowed_origin(&settings, &headers(&[])), Ok(None));
    assert!(asked(&settings, "http://127.0.0.1:7777").unwrap().is_some(), "its own");
    for origin in ["http://evil.example", "null", "http://127.0.0.1:8888", "http://127.0.0.1:7777.evil.example"] {
        assert_eq!(asked(&settings, origin).unwrap_err().status, 403, "{origin}");
    }
    settings.origins = vec!["https://app.example".into()];
    assert!(asked(&settings, "https://app.example").unwrap().is_some());
}

#[test]
fn a_token_says_what_may_be_done() {
    let full: Option<SecretString> = Some("full".to_owned().into());
    let read: Option<SecretString> = Some("read".to_owned().into());
    let settings = |full: &Option<SecretString>, read: &Option<SecretString>| Settings {
        tokens: super::super::Tokens { full: full.clone(), read: read.clone() },
        loopback: true,
        ..Settings::default()
    };
    let both = settings(&full, &read);
    let asked = |settings: &Settings, value: &str| {
        access_of_token(settings, &headers(&[("authorization", value)]), false).map_err(|refused| refused.status)
    };
    assert_eq!(asked(&both, "Bearer full"), Ok(Access::Full));
    assert_eq!(asked(&both, "bearer  read"), Ok(Access::Read));
    for wrong in ["Bearer ful", "Bearer full1", "Bearer", "full", "Basic full", "Bearer "] {
        assert_eq!(asked(&both, wrong), Err(401), "{wrong}");
    }
    assert_eq!(access_of_token(&both, &headers(&[("x-api-key", "full")]), false), Ok(Access::Full));
    assert_eq!(access_of_token(&settings(&None, &None), &headers(&[]), false), Ok(Access::Full));
    assert_eq!(asked(&settings(&None, &read), "Bearer wrong"), Err(401));
    let watched = Settings { read_only: true, ..both };
    assert_eq!(asked(&watched, "Bearer full"), Ok(Access::Read));
    assert!(!format!("{watched:?}").contains("full\""));
}

#[test]
fn what_a_proxy_passed_on_needs_a_token() {
    let token: Option<SecretString> = Some("read".to_owned().into());
    let open = Settings { loopback: true, ..Settings::default() };
    let watched =
        Settings { tokens: super::super::Tokens { full: None, read: token }, loopback: true, ..Settings::default() };
    for (name, value) in [
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-anything", "1"),
        ("forwarded", "for=10.0.0.1"),
        ("via", "1.1 proxy"),
        ("x-real-ip", "10.0.0.1"),
    ] {
        let passed_on = headers(&[(name, value)]);
        for open_path in [false, true] {
            let refused = access_of_token(&open, &passed_on, open_path).unwrap_err();
            assert_eq!((refused.status, refused.code), (403, "forwarded"), "{name}");
        }
        assert_eq!(access_of_token(&watched, &passed_on, false).unwrap_err().status, 401, "{name}");
        let with_token = headers(&[(name, value), ("x-api-key", "read")]);
        assert_eq!(access_of_token(&watched, &with_token, false), Ok(Access::Read), "{name}");
    }
    assert_eq!(access_of_token(&watched, &headers(&[]), false), Ok(Access::Full));
}

#[test]
fn the_address_of_the_proxy_is_one_of_ours() {
    let settings =
        Settings { loopback: true, public_origin: Some("https://chat.example".into()), ..Settings::default() };
    assert_eq!(check_host_name(&settings, &headers(&[("host", "Chat.example")])), Ok(()));
    assert_eq!(check_host_name(&settings, &headers(&[("host", "chat.example:8443")])).unwrap_err().status, 403);
    // The proxy may have put another host in its place.
    for host in ["chat.example", "127.0.0.1:7777"] {
        let own = |origin: &str| is_own_origin(&settings, &headers(&[("host", host), ("origin", origin)]));
        assert!(own("https://chat.example"), "{host}");
        assert!(!own("https://evil.example") && !own("null") && !own(""), "{host}");
    }
    assert!(!is_own_origin(&settings, &headers(&[("host", "127.0.0.1:7777"), ("origin", "http://chat.example")])));
}

#[test]
fn no_token_is_needed_for_what_says_nothing() {
    for path in ["/", "/health", "/page/page.js"] {
        assert!(is_open(path), "{path}");
    }
    for path in ["/page", "/healthy", "/v1/info", "/v1/login", "", "//"] {
        assert!(!is_open(path), "{path}");
    }
}
