//! The dbt package has the comments and lists of the extension: `PG_RFM_UPDATE=1 make test ARGS="--test documentation dbt"`
//! writes its sources. What dbt makes of them is tried by `make integrations`.

use crate::common::*;

#[test]
fn sources_are_what_the_extension_says() {
    let database = Database::new("dbt");
    let printed = database.psql(&read("integrations/dbt/sources.sql"));
    assert_recorded("integrations/dbt/models/sources.yml", &printed);
    assert_eq!(database.psql("SELECT count(*) FROM segmentations"), "0\n", "it leaves something behind");
}
