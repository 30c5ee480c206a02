use super::*;

fn token(payload: &str) -> Token {
    Token::new(&format!("e30.{}.c2ln\n", BASE64_URL_SAFE_NO_PAD.encode(payload)))
}

#[test]
fn a_token_is_good_for_its_own_account_in_the_first_half_of_its_life() {
    let token = token(
        r#"{"sub":"system:serviceaccount:claims:connector-a","iat":1000,"exp":3000,
            "kubernetes.io":{"namespace":"claims","serviceaccount":{"name":"connector-a","uid":"u"}}}"#,
    );
    let claims = token.claims().unwrap();
    assert!(claims.is_good("claims", "connector-a", "u", 1999));
    assert!(!claims.is_good("claims", "connector-a", "u", 2000), "half of its life is over");
    assert!(!claims.is_good("claims", "connector-a", "other", 1000), "the account was made anew");
    assert!(!claims.is_good("other", "connector-a", "u", 1000));
}

#[test]
fn other_tokens_say_nothing() {
    for text in ["", "opaque", "a.b.c"] {
        assert_eq!(Token::new(text).claims(), None, "{text:?}");
    }
    assert_eq!(token(r#"{"sub":"somebody"}"#).claims(), None);
}

#[test]
fn a_token_is_not_printed() {
    assert_eq!(format!("{:?}", Token::new("secret")), "Token(…)");
}
