//! The lists of sql/examples/export over the worked shop, by plain SQL over its tables.

use crate::common::*;

fn shop() -> Database {
    let database = Database::new("exports");
    database.psql(&read("sql/examples/shop/shop.sql"));
    database.psql(
        "SET client_min_messages = warning;
         SELECT create_segmentation('shop', orders => 'orders', customers => 'customers', engagement => 'events', contacts => 'contacts',
                                    policy => 'replenishment', as_of => '2026-06-30', time_zone => 'Asia/Tokyo')",
    );
    database.psql(&read("sql/examples/export/views.sql"));
    database
}

/// Each row breaks no rule, and there are many of them.
#[test]
fn lists_hold_whom_they_may() {
    let database = shop();
    let mut client = database.client();
    for (what, least, rows, wrong) in [
        (
            "one row a customer",
            1_000,
            "SELECT FROM contact_list",
            "SELECT customer_id FROM contact_list GROUP BY customer_id HAVING count(*) > 1",
        ),
        (
            "whatever is due is on the list",
            1_000,
            "SELECT FROM steps_due",
            "SELECT customer_id, scenario, step, channel FROM steps_due EXCEPT SELECT customer_id, scenario, step, channel FROM contact_list",
        ),
        (
            "consent to the channel, where consents are known",
            500,
            "SELECT FROM contact_list JOIN customers USING (customer_id) WHERE consents IS NOT NULL",
            "SELECT customer_id, channel FROM contact_list JOIN customers USING (customer_id)
             WHERE consents IS NOT NULL AND (consents -> channel) IS DISTINCT FROM 'true'::jsonb",
        ),
        (
            "an address of the channel's form",
            1_000,
            "SELECT FROM contact_list",
            "SELECT channel, address FROM contact_list
             WHERE (address ~ CASE channel WHEN 'email' THEN '^[!-?A-~]+@[a-z0-9.-]+$' WHEN 'postal' THEN '^[0-9]{3}-[0-9]{4}$'
                                           WHEN 'line' THEN '^(U[0-9a-f]{32}|[a-z0-9._-]{4,20})$' ELSE '^[+]81[0-9]{9,10}$' END) IS NOT TRUE
                   OR (channel = 'postal') <> (postal_address IS NOT NULL)",
        ),
        (
            "nobody who was held out of the scenario",
            1_000,
            "SELECT FROM contact_list",
            "SELECT customer_id FROM contact_list AS l JOIN contacts AS c USING (customer_id, scenario) WHERE c.\"group\" = 'holdout'",
        ),
        (
            "a digest of an e-mail only with consent, and of 64 digits",
            700,
            "SELECT FROM audience WHERE email_sha256 IS NOT NULL",
            "SELECT customer_id FROM audience JOIN customers USING (customer_id)
             WHERE email_sha256 !~ '^[0-9a-f]{64}$'
                   OR email_sha256 IS NOT NULL AND consents IS NOT NULL AND (consents -> 'email') IS DISTINCT FROM 'true'::jsonb",
        ),
        (
            "a digest of a phone number only with consent to call or to write, and of 64 digits",
            300,
            "SELECT FROM audience WHERE phone_sha256 IS NOT NULL",
            "SELECT customer_id FROM audience JOIN customers USING (customer_id)
             WHERE phone_sha256 !~ '^[0-9a-f]{64}$'
                   OR phone_sha256 IS NOT NULL AND consents IS NOT NULL
                      AND NOT (coalesce(consents -> 'phone' = 'true', false) OR coalesce(consents -> 'sms' = 'true', false))",
        ),
        (
            "whoever gets an e-mail is in the audience by it, whoever is called by the number",
            700,
            "SELECT FROM contact_list WHERE channel IN ('email', 'sms', 'phone')",
            "SELECT customer_id, channel FROM contact_list LEFT JOIN audience USING (customer_id)
             WHERE channel = 'email' AND email_sha256 IS NULL OR channel IN ('sms', 'phone') AND phone_sha256 IS NULL",
        ),
    ] {
        let found = count(&mut client, &format!("SELECT count(*) FROM ({rows}) AS r"));
        assert!(found >= least, "{what}: {found}");
        let wrong = database.psql(&format!("SELECT * FROM ({wrong}) AS w LIMIT 5"));
        assert_eq!(wrong, "", "{what}");
    }
}

/// The digests are those that `printf %s ADDRESS | sha256sum` prints, and do not depend on how the address was written.
#[test]
fn digests_are_of_the_normalized_addresses() {
    let database = shop();
    database.psql(
        "UPDATE customers SET email = '　Ａｋｉ＠Example．ＪＰ ', phone = '０９０－１２３４－５６７８', consents = NULL
         WHERE customer_id = (SELECT min(customer_id) FROM contact_list WHERE channel = 'email');
         SET client_min_messages = warning; SELECT refresh_segmentation('shop')",
    );
    let digests = database.psql(
        "SELECT email_sha256, phone_sha256 FROM audience JOIN customers USING (customer_id) WHERE email LIKE '%Example．ＪＰ '",
    );
    // of aki@example.jp and +819012345678
    let expected = [
        "d83eaacaf8c345d890a414de13969059543427e27846151a74c6387221ce8519",
        "3d06a39d40790f11761295e053029378ae28c4b4f6f301693005e079f3d4ca64",
    ];
    assert_eq!(digests.trim_end(), expected.join("|"));
}
