//! Secrets that nobody has and texts that hold none, made from a seed. Put together from parts, so that nothing in this
//! repository looks like a key.

use jarvis_tui::text::secrets::shape_examples;

/// A made-up secret in a text.
#[derive(Clone, Debug)]
pub(crate) struct PlantedSecret {
    pub(crate) kind: String,
    /// Where it stands.
    pub(crate) text: String,
    /// What may not be told.
    pub(crate) secret: String,
}

/// Numbers from a seed (xorshift64*).
pub(crate) struct SeededNumbers(u64);

impl SeededNumbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// Characters of a set.
    pub(crate) fn letters(&mut self, set: &[u8], length: usize) -> String {
        (0..length).map(|_| set[self.below(set.len())] as char).collect()
    }
}

const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &[u8] = b"0123456789abcdef";
const LOWER: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

/// Texts around a secret.
const AROUND: &[(&str, &str)] = &[
    ("", ""),
    ("it is ", "."),
    ("export X=", "\n"),
    ("use \"", "\" there"),
    ("(`", "`)"),
    ("curl https://h.example/?k=", "&x=1"),
    ("{\"k\": \"", "\"}"),
    ("one\n", "\ntwo – drei"),
    ("{\\\"text\\\": \\\"a\\n", "\\\"}"),
    ("\x1b[31m", "\x1b[0m"),
];

/// Makes so many, of every kind in turn.
pub(crate) fn planted_secrets(seed: u64, count: usize) -> Vec<PlantedSecret> {
    let mut numbers = SeededNumbers::new(seed);
    let shapes: Vec<_> = shape_examples().collect();
    let kinds = shapes.len() + SPECIAL.len();
    (0..count)
        .map(|nth| match shapes.get(nth % kinds) {
            Some((kind, prefix, set, length)) => {
                let mut body = numbers.letters(set, *length).into_bytes();
                // A key of this length has a digit and a letter somewhere, and no end that belongs to the sentence.
                body[2] = if set.contains(&b'7') { b'7' } else { body[2] };
                body[4] = *set.iter().rev().find(|byte| byte.is_ascii_alphabetic()).unwrap();
                for (place, fixed) in [(5, b'4'), (6, b'b'), (7, b'9'), (8, b'd')] {
                    if set.contains(&fixed) {
                        body[place] = fixed;
                    }
                }
                for place in [0, *length - 1] {
                    while !body[place].is_ascii_alphanumeric() {
                        body[place] = numbers.letters(set, 1).as_bytes()[0];
                    }
                }
                let secret = format!("{prefix}{}", String::from_utf8(body).unwrap());
                let (before, after) = AROUND[numbers.below(AROUND.len())];
                PlantedSecret { kind: (*kind).to_owned(), text: format!("{before}{secret}{after}"), secret }
            }
            None => SPECIAL[nth % kinds - shapes.len()](&mut numbers),
        })
        .collect()
}

const SPECIAL: &[fn(&mut SeededNumbers) -> PlantedSecret] = &[
    json_web_token,
    private_key,
    escaped_private_key,
    environment_line,
    json_password,
    yaml_secret,
    address_password,
    bearer_header,
    basic_header,
    bot_token,
    chat_bot_token,
    access_key_pair,
    command_line,
];

fn planted(kind: &str, secret: String, before: &str, after: &str) -> PlantedSecret {
    PlantedSecret { kind: kind.to_owned(), text: format!("{before}{secret}{after}"), secret }
}

fn json_web_token(numbers: &mut SeededNumbers) -> PlantedSecret {
    let part = |numbers: &mut SeededNumbers, length| numbers.letters(URL_SAFE, length);
    let secret = format!("eyJ{}.eyJ{}.{}x", numbers.letters(ALNUM, 17), part(numbers, 40), part(numbers, 42));
    let (before, after) = AROUND[numbers.below(AROUND.len())];
    planted("jwt", secret, before, after)
}

fn key_lines(numbers: &mut SeededNumbers, lines: usize, line_end: &str) -> String {
    let body: Vec<String> = (0..lines).map(|_| numbers.letters(BASE64, 64)).collect();
    format!("{}{line_end}{}=", body.join(line_end), numbers.letters(BASE64, 27))
}

fn private_key(numbers: &mut SeededNumbers) -> PlantedSecret {
    let label = numbers.pick(&["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "EC PRIVATE KEY"]);
    let secret = key_lines(numbers, 4, "\n");
    let (begin, end) = (format!("-----BEGIN {label}-----\n"), format!("\n-----END {label}-----\n"));
    planted("private-key", secret, &format!("the key:\n{begin}"), &format!("{end}done"))
}

fn escaped_private_key(numbers: &mut SeededNumbers) -> PlantedSecret {
    let secret = key_lines(numbers, 3, "\\n");
    planted(
        "private-key",
        secret,
        "{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\n",
        "\\n-----END PRIVATE KEY-----\\n\", \"x\": 1}",
    )
}

fn password(numbers: &mut SeededNumbers) -> String {
    format!("{}7{}K{}", numbers.letters(LOWER, 4), numbers.letters(ALNUM, 6), numbers.letters(LOWER, 2))
}

fn environment_line(numbers: &mut SeededNumbers) -> PlantedSecret {
    let name = numbers.pick(&["DB_PASSWORD", "API_KEY", "CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY", "SMTP_PASSWD"]);
    planted("password", password(numbers), &format!("A=1\n{name}="), "\nB=2\n")
}

fn json_password(numbers: &mut SeededNumbers) -> PlantedSecret {
    let name = numbers.pick(&["password", "clientSecret", "api_key", "refresh_token"]);
    let secret = password(numbers);
    match numbers.below(2) {
        0 => planted("password", secret, &format!("{{\"user\": \"me\", \"{name}\": \""), "\", \"n\": 1}"),
        _ => planted("password", secret, &format!("{{\\\"{name}\\\":\\\""), "\\\"}"),
    }
}

fn yaml_secret(numbers: &mut SeededNumbers) -> PlantedSecret {
    let name = numbers.pick(&["  password", "secret", "x-api-key", "spring.datasource.password"]);
    planted("secret", password(numbers), &format!("db:\n{name}: "), "\n  port: 5432\n")
}

fn address_password(numbers: &mut SeededNumbers) -> PlantedSecret {
    let scheme = numbers.pick(&["postgres", "https", "redis", "mongodb+srv"]);
    planted("password", password(numbers), &format!("see {scheme}://admin:"), "@db.example:5432/x")
}

fn bearer_header(numbers: &mut SeededNumbers) -> PlantedSecret {
    let secret = format!("{}7q{}", numbers.letters(ALNUM, 12), numbers.letters(ALNUM, 20));
    planted("authorization", secret, "curl -H 'Authorization: Bearer ", "' https://h.example/")
}

fn basic_header(numbers: &mut SeededNumbers) -> PlantedSecret {
    let secret = format!("{}7q{}=", numbers.letters(ALNUM, 8), numbers.letters(ALNUM, 14));
    planted("authorization", secret, "{\"Authorization\": \"Basic ", "\"}")
}

fn bot_token(numbers: &mut SeededNumbers) -> PlantedSecret {
    let secret = format!("AA{}7", numbers.letters(URL_SAFE, 32));
    planted("telegram-token", secret, "bot 123456789:", " works")
}

fn chat_bot_token(numbers: &mut SeededNumbers) -> PlantedSecret {
    let secret =
        format!("MT{}.{}.{}", numbers.letters(ALNUM, 24), numbers.letters(ALNUM, 6), numbers.letters(URL_SAFE, 38));
    planted("discord-token", secret, "login(\"", "\")")
}

fn access_key_pair(numbers: &mut SeededNumbers) -> PlantedSecret {
    let id = format!("{}{}", "AKIA", numbers.letters(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16));
    let secret = format!("{}7aB{}", numbers.letters(BASE64, 20), numbers.letters(ALNUM, 17));
    planted("aws-secret-key", secret, &format!("{id} | "), " |\n")
}

fn command_line(numbers: &mut SeededNumbers) -> PlantedSecret {
    planted("password", password(numbers), "$ tool --password ", " --verbose\n")
}

/// Makes texts without a secret: half of them hashes, ids, lock files, code of bundlers and images.
pub(crate) fn harmless_texts(seed: u64, count: usize) -> Vec<String> {
    let mut numbers = SeededNumbers::new(seed);
    (0..count)
        .map(|nth| {
            let make = if nth % 2 == 0 { MACHINE_MADE } else { WRITTEN };
            make[nth / 2 % make.len()](&mut numbers)
        })
        .collect()
}

type Text = fn(&mut SeededNumbers) -> String;

const MACHINE_MADE: &[Text] = &[
    |numbers| {
        format!("commit {}\nindex {}..{}", numbers.letters(HEX, 40), numbers.letters(HEX, 7), numbers.letters(HEX, 7))
    },
    |numbers| format!("{}  target/debug/it\n{}  Cargo.lock\n", numbers.letters(HEX, 64), numbers.letters(HEX, 32)),
    |numbers| format!("token: {}\nid={}", uuid(numbers), uuid(numbers)),
    |numbers| format!("\"etag\": \"{}\", \"key\": \"{}\"", numbers.letters(HEX, 32), numbers.letters(ALNUM, 24)),
    |numbers| {
        let checksum = numbers.letters(HEX, 64);
        format!("[[package]]\nname = \"secrecy\"\nversion = \"0.10.3\"\nchecksum = \"{checksum}\"\n")
    },
    |numbers| {
        let hash = numbers.letters(BASE64, 86);
        format!(
            "\"node_modules/token\": {{\"version\": \"1.2.3\", \"resolved\": \"https://h.example/token/-/token-1.2.3.tgz#{}\", \"integrity\": \"sha512-{hash}==\"}}",
            numbers.letters(HEX, 40)
        )
    },
    |numbers| format!("github.com/golang-jwt/jwt v3.2.2 h1:{}=\n", numbers.letters(BASE64, 43)),
    |numbers| format!("image: app@sha256:{}\n", numbers.letters(HEX, 64)),
    bundled_code,
    |numbers| format!("<img src=\"data:image/png;base64,iVBORw0KGgo{}==\">", numbers.letters(BASE64, 900)),
    |numbers| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", key_lines(numbers, 6, "\n")),
    |numbers| format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA{} me@host", numbers.letters(BASE64, 43)),
    |numbers| format!("eyJ{} is base64 of JSON", numbers.letters(ALNUM, 60)),
    |numbers| format!("M{} {}L{} {}", numbers.below(999), numbers.below(999), numbers.below(999), numbers.below(99)),
];

fn uuid(numbers: &mut SeededNumbers) -> String {
    let mut part = |length| numbers.letters(HEX, length);
    format!("{}-{}-4{}-a{}-{}", part(8), part(4), part(3), part(3), part(12))
}

fn bundled_code(numbers: &mut SeededNumbers) -> String {
    let mut name = || {
        let length = 1 + numbers.below(2);
        numbers.letters(LOWER, length)
    };
    let (a, b, c, d) = (name(), name(), name(), name());
    format!(
        "function {a}({b},{c}){{var {d}={{token:{b}.token,secret:{c},password:{a}(\"password\"),apiKey:void 0}};return \
         {b}.headers.Authorization=\"Bearer \".concat({d}.accessToken),{d}}}var {c}=!0,{b}=1e3,key=\"{}\";{d}.password\
         =function(e){{return e.password1}};{a}.authToken={b}.get(\"auth_token\")||null;{d}.secret={c}?{a}:{b}.token2;",
        numbers.letters(ALNUM, 20)
    )
}

const WRITTEN: &[Text] = &[
    |numbers| {
        format!(
            "The token count is {}, max_tokens: {} and next_page_token={}.",
            numbers.below(9999),
            numbers.below(9999),
            numbers.letters(ALNUM, 24)
        )
    },
    |_| "Set your password: at least 8 characters, 1 digit. The secret: patience. Ask sk-learn about tasks.".into(),
    |_| "const token = await getAccessToken2(user); const password: string = form.password1;".into(),
    |_| {
        "password = os.environ[\"DB_PASSWORD1\"]\napi_key=process.env.OPENAI_API_KEY2\nsecret: ${{ secrets.DEPLOY_KEY_1 }}".into()
    },
    |_| {
        "OPENAI_API_KEY=sk-your-key-here-123456\nDB_PASSWORD=changeme123\nSECRET_KEY=<your-secret-key-1>\nTOKEN=xxxxxxxxxxxxxxxx1".into()
    },
    |_| "Authorization: Bearer ${TOKEN}\nAuthorization: Bearer <token>\nauthorization: Basic {{ auth1 }}".into(),
    |numbers| {
        format!(
            "see https://user@host{}.example:8443/path?page={}#L12 and postgres://user:password@localhost/db",
            numbers.below(99),
            numbers.below(99)
        )
    },
    |_| "if (password.length < 8 || token === null) { throw new Error('secret: missing 2 fields'); }".into(),
    |_| "fn token(&self) -> Token::Kind1 { Token::new(self.secret2) } // password: see RFC 6749, section 4.3".into(),
    |_| {
        "password_changed_at: 2024-01-02T03:04:05Z\nlast_auth: 2024-01-02\nsession_token: null\ntoken: 1234567890"
            .into()
    },
    |_| {
        "| MTV | NTFS | ODBC | SKU | SG | EAAS | cio | OTC | Mjölnir | Mzansi | NDA | eyJ | AKIA | xoxb | ghp_ |".into()
    },
    |_| {
        "resource \"aws_secretsmanager_secret\" \"db1\" { name = \"prod/db1\" }\nsecret = aws_secretsmanager_secret.db1.arn".into()
    },
    |_| "kubectl create secret generic db --from-literal=password=\"$PASSWORD1\" --token \"$(cat token1)\"".into(),
    |numbers| {
        format!(
            "{{\"token\": \"hello{}\", \"password\": null, \"secret\": true, \"credentials\": \"include\"}}",
            numbers.below(9)
        )
    },
    |_| "label.password = \"Passwort wiederholen\"; placeholder.apiKey = \"API-Schlüssel 2\"; auth: \"oauth2\"".into(),
    |_| "-----BEGIN PRIVATE KEY----- is how a key begins, and then come lines of letters until the end of it.".into(),
];
