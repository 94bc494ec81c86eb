//! Who is asking. Three ways to say it, never two at once.

use http::HeaderMap;

use crate::failure::Failure;
use crate::options::User;

fn failed(name: &str) -> Failure {
    let text = format!("{name}: Authentication failed: password is incorrect, or there is no user with such name");
    Failure::new(516, "AUTHENTICATION_FAILED", text)
}

fn mixed() -> Failure {
    Failure::new(
        516,
        "AUTHENTICATION_FAILED",
        "Invalid authentication: it is not allowed to use Authorization HTTP header, X-ClickHouse HTTP headers and \
         authentication parameters at once",
    )
}

/// Finds the user that the request names and checks the password.
pub(crate) fn authenticate(
    users: &[User],
    parameters: &[(String, Vec<u8>)],
    headers: &HeaderMap,
) -> Result<User, Failure> {
    let (name, password) = credentials(parameters, headers)?;
    let user = users.iter().find(|user| user.name == name).ok_or_else(|| failed(&name))?;
    if !same(user.password.as_bytes(), &password) {
        return Err(failed(&name));
    }
    Ok(user.clone())
}

fn credentials(parameters: &[(String, Vec<u8>)], headers: &HeaderMap) -> Result<(String, Vec<u8>), Failure> {
    let header = |name: &str| headers.get(name).map(|value| value.as_bytes().to_vec());
    let parameter = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let authorization = header("authorization").filter(|value| !value.is_empty());
    let own = (header("x-clickhouse-user"), header("x-clickhouse-key"));
    let in_url = (parameter("user"), parameter("password"));
    let given = [authorization.is_some(), own.0.is_some() || own.1.is_some(), in_url.0.is_some() || in_url.1.is_some()];
    if given.into_iter().filter(|given| *given).count() > 1 {
        return Err(mixed());
    }
    if let Some(value) = authorization {
        return basic(&value).ok_or_else(|| {
            Failure::new(516, "AUTHENTICATION_FAILED", "Invalid authentication: only Basic is supported here")
        });
    }
    let (name, password) = if given[1] { own } else { in_url };
    let name = name
        .filter(|name| !name.is_empty())
        .map_or("default".into(), |name| String::from_utf8_lossy(&name).into_owned());
    Ok((name, password.unwrap_or_default()))
}

fn basic(value: &[u8]) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = base64(encoded.trim_ascii())?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let name = String::from_utf8_lossy(decoded.get(..colon)?).into_owned();
    Some((name, decoded.get(colon + 1..)?.to_vec()))
}

/// Standard base64, with or without padding.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in text.iter().filter(|byte| **byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from((bits >> count) & 0xff).ok()?);
        }
    }
    Some(out)
}

/// Compares in a time that does not tell where the difference is.
fn same(known: &[u8], given: &[u8]) -> bool {
    let differs = (0..known.len().max(given.len())).fold(known.len() ^ given.len(), |sum, at| {
        let byte = |text: &[u8]| usize::from(text.get(at).copied().unwrap_or(0));
        sum | (byte(known) ^ byte(given))
    });
    differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_decoded() {
        assert_eq!(basic(b"Basic Ym9iOnB3"), Some(("bob".to_owned(), b"pw".to_vec())));
        assert_eq!(basic(b"basic ZGVmYXVsdDo="), Some(("default".to_owned(), Vec::new())));
        assert_eq!(basic(b"Bearer x"), None);
        assert!(same(b"pw", b"pw") && !same(b"pw", b"p") && !same(b"", b"x"));
    }
}
