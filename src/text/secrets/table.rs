//! The prefixes of keys, as those who issue them document them.
//!
//! Sources: the pages on token formats of GitHub ("Token formats"), GitLab ("Token prefixes"), Slack ("Token types"),
//! Stripe ("API keys"), AWS ("IAM identifiers: unique ID prefixes"), Google Cloud ("API keys", "OAuth 2.0"), npm ("About
//! access tokens"), PyPI (`pypi-` macaroons), Vault ("Tokens: prefixes"), DigitalOcean ("Token prefixes"), Docker,
//! Grafana, Databricks, Hugging Face and the rest of those named in the rows; RFC 7468 (PEM), RFC 7519 (JWT), RFC 6750
//! (bearer tokens). Facts only: prefix, characters and length.

use super::byte_class::ByteClass;
use super::shape::Shape;

/// One way in which a secret begins.
pub(super) struct TableRow {
    /// What it is called in a placeholder.
    pub(super) kind: &'static str,
    pub(super) anchor: &'static str,
    pub(super) matcher: Matcher,
}

/// How what stands behind an anchor is read.
pub(super) enum Matcher {
    Run(Shape),
    /// `-----BEGIN … PRIVATE KEY-----` up to its end.
    PrivateKey,
    /// Parts in base64url with dots between them.
    Jwt,
    /// A number in base64, a time and a signature with dots between them.
    DiscordToken,
    /// `Bearer` and a token.
    Bearer,
    /// An option of a command line whose value is the next word.
    Flag,
}

const fn row(kind: &'static str, anchor: &'static str, class: ByteClass, min: usize, max: usize) -> TableRow {
    TableRow { kind, anchor, matcher: Matcher::Run(Shape { class, min, max, needs_mixture: false }) }
}

const fn vague(kind: &'static str, anchor: &'static str, class: ByteClass, min: usize, max: usize) -> TableRow {
    TableRow { kind, anchor, matcher: Matcher::Run(Shape { class, min, max, needs_mixture: true }) }
}

const fn other(kind: &'static str, anchor: &'static str, matcher: Matcher) -> TableRow {
    TableRow { kind, anchor, matcher }
}

const UNLIMITED_BYTES: usize = usize::MAX;
const ALNUM: ByteClass = ByteClass::ALNUM;
const WORD: ByteClass = ByteClass::WORD;
const DASHED: ByteClass = ByteClass::DASHED;
const DOTTED: ByteClass = ByteClass::DOTTED;
const HEX: ByteClass = ByteClass::HEX;
const UPPER: ByteClass = ByteClass::UPPER;

pub(super) static TABLE: &[TableRow] = &[
    // Models.
    row("openai-key", "sk-proj-", DASHED, 20, UNLIMITED_BYTES),
    row("openai-key", "sk-svcacct-", DASHED, 20, UNLIMITED_BYTES),
    row("openai-key", "sk-admin-", DASHED, 20, UNLIMITED_BYTES),
    row("anthropic-key", "sk-ant-", DASHED, 24, UNLIMITED_BYTES),
    row("openrouter-key", "sk-or-v1-", HEX, 32, UNLIMITED_BYTES),
    row("langfuse-key", "sk-lf-", ByteClass::HEX_DASHED, 36, 36),
    vague("api-key", "sk-", DASHED, 16, UNLIMITED_BYTES),
    row("elevenlabs-key", "sk_", HEX, 48, 48),
    row("google-api-key", "AIza", DASHED, 35, 35),
    row("groq-key", "gsk_", ALNUM, 40, 60),
    row("xai-key", "xai-", ALNUM, 60, 100),
    row("perplexity-key", "pplx-", ALNUM, 32, 64),
    row("replicate-token", "r8_", ALNUM, 37, 40),
    row("huggingface-token", "hf_", ALNUM, 34, 40),
    row("huggingface-token", "api_org_", ALNUM, 34, 40),
    row("nvidia-key", "nvapi-", DASHED, 60, 80),
    row("pinecone-key", "pcsk_", WORD, 40, 90),
    row("tavily-key", "tvly-", DASHED, 24, 64),
    row("langsmith-key", "lsv2_", WORD, 32, 64),
    row("cerebras-key", "csk-", ALNUM, 40, 60),
    row("e2b-key", "e2b_", HEX, 40, 40),
    row("jina-key", "jina_", DASHED, 40, 80),
    // Where code lives.
    row("github-token", "ghp_", ALNUM, 36, 251),
    row("github-token", "gho_", ALNUM, 36, 251),
    row("github-token", "ghu_", ALNUM, 36, 251),
    row("github-token", "ghs_", DOTTED, 36, UNLIMITED_BYTES),
    row("github-token", "ghr_", ALNUM, 36, 251),
    row("github-token", "github_pat_", WORD, 36, 251),
    row("gitlab-token", "glpat-", DOTTED, 20, 320),
    row("gitlab-token", "gldt-", DOTTED, 20, 320),
    row("gitlab-token", "glrt-", DOTTED, 20, 320),
    row("gitlab-token", "glcbt-", DOTTED, 20, 320),
    row("gitlab-token", "glptt-", DOTTED, 40, 320),
    row("gitlab-token", "glft-", DOTTED, 20, 320),
    row("gitlab-token", "glimt-", DOTTED, 20, 320),
    row("gitlab-token", "glagent-", DOTTED, 40, 320),
    row("gitlab-token", "gloas-", DOTTED, 40, 320),
    row("gitlab-token", "GR1348941", DASHED, 20, 40),
    row("atlassian-token", "ATATT3xFfGF0", DASHED_EQUALS, 100, UNLIMITED_BYTES),
    row("bitbucket-token", "ATBB", ALNUM, 28, 40),
    row("sourcegraph-token", "sgp_", WORD, 40, 80),
    row("npm-token", "npm_", ALNUM, 36, 36),
    row("pypi-token", "pypi-", DASHED, 60, UNLIMITED_BYTES),
    row("crates-io-token", "cio", ALNUM, 32, 32),
    row("rubygems-key", "rubygems_", HEX, 48, 48),
    row("nuget-key", "oy2", ByteClass::LOWER, 43, 43),
    row("docker-token", "dckr_pat_", DASHED, 27, 40),
    row("docker-token", "dckr_oat_", DASHED, 27, 40),
    row("jfrog-key", "AKCp", ALNUM, 60, 80),
    row("circleci-token", "CCIPAT_", WORD, 40, 80),
    row("buildkite-token", "bkua_", HEX, 40, 40),
    row("sonar-token", "sqp_", HEX, 40, 40),
    row("sonar-token", "squ_", HEX, 40, 40),
    row("sonar-token", "sqa_", HEX, 40, 40),
    row("sentry-token", "sntrys_", DASHED_BASE64, 60, UNLIMITED_BYTES),
    row("sentry-token", "sntryu_", HEX, 64, 64),
    row("postman-key", "PMAK-", ByteClass::HEX_DASHED, 59, 59),
    row("figma-token", "figd_", DASHED, 40, 60),
    row("linear-key", "lin_api_", ALNUM, 40, 40),
    row("notion-token", "ntn_", ALNUM, 40, 60),
    row("grafana-token", "glc_", ByteClass::BASE64, 32, 400),
    row("grafana-token", "glsa_", WORD, 41, 41),
    row("newrelic-key", "NRAK-", UPPER, 27, 27),
    // Clouds.
    row("aws-access-key-id", "AKIA", UPPER, 16, 16),
    row("aws-access-key-id", "ASIA", UPPER, 16, 16),
    row("aws-access-key-id", "ABIA", UPPER, 16, 16),
    row("aws-access-key-id", "ACCA", UPPER, 16, 16),
    row("google-oauth-token", "ya29.", DOTTED, 20, UNLIMITED_BYTES),
    row("google-oauth-secret", "GOCSPX-", DASHED, 28, 28),
    row("google-refresh-token", "1//0", DASHED, 40, 200),
    row("alibaba-key", "LTAI", ALNUM, 16, 26),
    row("tencent-key", "AKID", ALNUM, 32, 32),
    row("digitalocean-token", "dop_v1_", HEX, 64, 64),
    row("digitalocean-token", "doo_v1_", HEX, 64, 64),
    row("digitalocean-token", "dor_v1_", HEX, 64, 64),
    row("vault-token", "hvs.", DASHED, 24, UNLIMITED_BYTES),
    row("vault-token", "hvb.", DASHED, 24, UNLIMITED_BYTES),
    row("vault-token", "hvr.", DASHED, 24, UNLIMITED_BYTES),
    row("databricks-token", "dapi", HEX_NUMBERED, 32, 34),
    row("doppler-token", "dp.pt.", ALNUM, 40, 44),
    row("doppler-token", "dp.st.", DOTTED, 40, 60),
    row("fly-token", "fm2_", ByteClass::BASE64, 80, UNLIMITED_BYTES),
    row("heroku-key", "HRKU-", DASHED, 36, 80),
    row("supabase-token", "sbp_", HEX, 40, 40),
    row("supabase-key", "sb_secret_", DASHED, 24, 60),
    row("planetscale-token", "pscale_tkn_", DOTTED, 32, 64),
    row("planetscale-password", "pscale_pw_", DOTTED, 32, 64),
    row("pulumi-token", "pul-", HEX, 40, 40),
    row("tailscale-key", "tskey-", DASHED, 24, 80),
    row("age-key", "AGE-SECRET-KEY-1", UPPER, 58, 58),
    row("prefect-key", "pnu_", ALNUM, 36, 36),
    // Messages, mail and money.
    vague("slack-token", "xoxb-", DASHED, 20, UNLIMITED_BYTES),
    vague("slack-token", "xoxp-", DASHED, 20, UNLIMITED_BYTES),
    vague("slack-token", "xoxa-", DASHED, 20, UNLIMITED_BYTES),
    vague("slack-token", "xoxr-", DASHED, 20, UNLIMITED_BYTES),
    vague("slack-token", "xoxs-", DASHED, 20, UNLIMITED_BYTES),
    vague("slack-token", "xoxe-", DASHED, 20, UNLIMITED_BYTES),
    vague("slack-token", "xoxe.", DOTTED, 20, UNLIMITED_BYTES),
    vague("slack-token", "xapp-", DASHED, 20, UNLIMITED_BYTES),
    row("slack-webhook", "hooks.slack.com/services/", SLASHED, 36, 80),
    row("discord-webhook", "discord.com/api/webhooks/", SLASHED_DASHED, 80, 100),
    row("stripe-key", "sk_live_", ALNUM, 20, UNLIMITED_BYTES),
    row("stripe-key", "sk_test_", ALNUM, 20, UNLIMITED_BYTES),
    row("stripe-key", "rk_live_", ALNUM, 20, UNLIMITED_BYTES),
    row("stripe-key", "rk_test_", ALNUM, 20, UNLIMITED_BYTES),
    row("webhook-secret", "whsec_", ByteClass::BASE64, 32, 100),
    row("twilio-key", "SK", HEX, 32, 32),
    row("sendgrid-key", "SG.", DOTTED, 66, 66),
    row("shopify-token", "shpat_", HEX, 32, 32),
    row("shopify-token", "shpca_", HEX, 32, 32),
    row("shopify-token", "shppa_", HEX, 32, 32),
    row("shopify-token", "shpss_", HEX, 32, 32),
    row("square-token", "sq0atp-", DASHED, 22, 22),
    row("square-secret", "sq0csp-", DASHED, 43, 43),
    row("facebook-token", "EAA", ALNUM, 100, UNLIMITED_BYTES),
    row("contentful-token", "CFPAT-", DASHED, 43, 43),
    row("typeform-token", "tfp_", DASHED, 40, 80),
    row("dropbox-token", "sl.", DASHED, 130, UNLIMITED_BYTES),
    // Forms that many share.
    other("private-key", "-----BEGIN ", Matcher::PrivateKey),
    other("jwt", "eyJ", Matcher::Jwt),
    other("discord-token", "MT", Matcher::DiscordToken),
    other("discord-token", "Mj", Matcher::DiscordToken),
    other("discord-token", "Mz", Matcher::DiscordToken),
    other("discord-token", "ND", Matcher::DiscordToken),
    other("discord-token", "NT", Matcher::DiscordToken),
    other("discord-token", "Nj", Matcher::DiscordToken),
    other("discord-token", "Nz", Matcher::DiscordToken),
    other("discord-token", "OD", Matcher::DiscordToken),
    other("discord-token", "OT", Matcher::DiscordToken),
    other("bearer-token", "Bearer ", Matcher::Bearer),
    other("bearer-token", "bearer ", Matcher::Bearer),
    other("password", "--password", Matcher::Flag),
    other("password", "--passphrase", Matcher::Flag),
    other("token", "--token", Matcher::Flag),
    other("token", "--access-token", Matcher::Flag),
    other("token", "--auth-token", Matcher::Flag),
    other("api-key", "--api-key", Matcher::Flag),
    other("secret", "--secret", Matcher::Flag),
    other("secret", "--client-secret", Matcher::Flag),
];

const DASHED_EQUALS: ByteClass = ByteClass::of("A-Za-z0-9_=-");
const DASHED_BASE64: ByteClass = ByteClass::of("A-Za-z0-9+/=_-");
const SLASHED: ByteClass = ByteClass::of("A-Za-z0-9/");
const SLASHED_DASHED: ByteClass = ByteClass::of("A-Za-z0-9/_-");
const HEX_NUMBERED: ByteClass = ByteClass::of("0-9a-f-");

/// Returns how many kinds of secrets are known by their shape.
pub fn builtin_kinds() -> usize {
    let kinds: std::collections::BTreeSet<&str> = TABLE.iter().map(|row| row.kind).collect();
    kinds.len()
}

/// Returns, for tests and for who wants to look at them, each prefix with the characters and the number of them that
/// make a secret of it; and what it is called.
pub fn shape_examples() -> impl Iterator<Item = (&'static str, &'static str, Vec<u8>, usize)> {
    TABLE.iter().filter_map(|row| match &row.matcher {
        Matcher::Run(shape) => {
            let length =
                shape.min.max(if shape.max == UNLIMITED_BYTES { shape.min + 8 } else { shape.max.min(shape.min + 8) });
            Some((row.kind, row.anchor, shape.class.characters(), length))
        }
        _ => None,
    })
}
