//! Which column of a shop's own table is the customer, the day, the amount and so on, guessed from names and types.
//!
//! A guess is taken only where it cannot be wrong without being noticed: one column of a known name and a fitting type.
//! Several are an ambiguity that the shop resolves, and roles of which a wrong guess would change the results silently
//! (the tenant, the order number, the currency) have no known names: such a column is used only where it is named.

/// A table or view of the shop's that a segmentation reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The orders.
    Orders,
    /// Reviews, referrals, complaints and other events.
    Engagement,
    /// What was sent to whom.
    Contacts,
    /// Which membership each customer had since when.
    MembershipLog,
    /// The customers: memberships, addresses, consents.
    Customers,
    /// What the KPIs are to be.
    Targets,
    /// What was spent on customers.
    Costs,
}

impl Source {
    /// The name of the argument of `create_segmentation`.
    pub fn name(self) -> &'static str {
        match self {
            Source::Orders => "orders",
            Source::Engagement => "engagement",
            Source::Contacts => "contacts",
            Source::MembershipLog => "membership_log",
            Source::Customers => "customers",
            Source::Targets => "targets",
            Source::Costs => "costs",
        }
    }
}

/// What a column has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A part of the key of a customer or an order: any type.
    Key,
    /// A calendar day or a moment.
    Day,
    /// An amount of money.
    Amount,
    /// Whether there was a discount, or how much.
    Discount,
    /// A text, or what can be written as one: any type.
    Text,
    /// A JSON document.
    Json,
}

impl Kind {
    /// What a message calls the types that fit; `None` where every type does.
    pub fn types(self) -> Option<&'static str> {
        match self {
            Kind::Key | Kind::Text => None,
            Kind::Day => Some("a date, timestamp or timestamptz"),
            Kind::Amount => Some("a number: integer, numeric or double precision"),
            Kind::Discount => Some("a boolean, or a number: above 0 is a discount"),
            Kind::Json => Some("json or jsonb"),
        }
    }

    /// Whether a column of this type can be used.
    fn fits(self, type_name: &str) -> bool {
        let types: &[&str] = match self {
            Kind::Key | Kind::Text => return true,
            Kind::Day => &["date", "timestamp", "timestamptz"],
            Kind::Amount => &["int2", "int4", "int8", "numeric", "float4", "float8"],
            Kind::Discount => &["bool", "int2", "int4", "int8", "numeric", "float4", "float8"],
            Kind::Json => &["json", "jsonb"],
        };
        types.contains(&type_name)
    }
}

/// What a column of a source can be.
#[derive(Debug)]
pub struct Role {
    /// The source it is a column of.
    pub source: Source,
    /// What the arguments of `create_segmentation` call it.
    pub name: &'static str,
    /// Whether the source is of no use without it.
    pub is_required: bool,
    /// What it has to hold.
    pub kind: Kind,
    /// Names by which it is found where none is given; upper and lower case are the same.
    names: &'static [&'static [&'static str]],
}

const CUSTOMER: &[&str] = &[
    "customer_id",
    "customer",
    "customer_no",
    "customer_number",
    "customer_key",
    "customer_code",
    "cust_id",
    "client_id",
    "user_id",
    "buyer_id",
    "member_id",
    "顧客ID",
    "顧客番号",
    "顧客コード",
    "会員ID",
    "会員番号",
];

const ORDERED_AT: &[&str] = &[
    "ordered_at",
    "ordered_on",
    "order_date",
    "order_datetime",
    "order_time",
    "order_timestamp",
    "order_ts",
    "order_day",
    "purchased_at",
    "purchased_on",
    "purchase_date",
    "invoice_date",
    "注文日",
    "注文日時",
    "購入日",
    "購入日時",
    "受注日",
];

const AMOUNT: &[&str] = &[
    "amount",
    "total_amount",
    "order_amount",
    "order_total",
    "order_value",
    "grand_total",
    "total_price",
    "total",
    "金額",
    "注文金額",
    "購入金額",
    "合計金額",
    "売上金額",
];

const KIND: &[&str] = &["kind", "event_kind", "event_type", "event", "type", "種類", "種別"];
const HAPPENED_AT: &[&str] =
    &["happened_at", "happened_on", "occurred_at", "occurred_on", "event_date", "event_time", "発生日", "発生日時"];
const CONTACTED_AT: &[&str] = &["contacted_at", "contacted_on", "sent_at", "sent_on"];
const MEMBERSHIP: &[&str] = &["membership", "membership_status", "会員区分"];
const SINCE: &[&str] =
    &["since", "since_day", "valid_from", "changed_at", "changed_on", "適用日", "変更日", "変更日時"];
const LAST_CONTACTED_ON: &[&str] = &["last_contacted_on", "last_contacted_at", "最終連絡日"];
const PERIOD: &[&str] = &["period", "month", "月", "年月", "対象月"];
const EMAIL: &[&str] = &["email", "e_mail", "email_address", "mail_address", "メールアドレス"];
const PHONE: &[&str] = &["phone", "phone_number", "telephone", "tel", "電話番号"];

const fn required(source: Source, name: &'static str, kind: Kind, names: &'static [&'static [&'static str]]) -> Role {
    Role { source, name, is_required: true, kind, names }
}

const fn optional(source: Source, name: &'static str, kind: Kind, names: &'static [&'static [&'static str]]) -> Role {
    Role { source, name, is_required: false, kind, names }
}

/// All roles, source by source.
pub static ROLES: [Role; 40] = [
    optional(Source::Orders, "tenant", Kind::Key, &[]),
    required(Source::Orders, "customer", Kind::Key, &[CUSTOMER]),
    required(Source::Orders, "ordered_at", Kind::Day, &[ORDERED_AT]),
    required(Source::Orders, "amount", Kind::Amount, &[AMOUNT]),
    optional(Source::Orders, "discounted", Kind::Discount, &[]),
    optional(Source::Orders, "order_id", Kind::Key, &[]),
    optional(Source::Orders, "currency", Kind::Text, &[]),
    optional(Source::Engagement, "tenant", Kind::Key, &[]),
    required(Source::Engagement, "customer", Kind::Key, &[CUSTOMER]),
    required(Source::Engagement, "kind", Kind::Text, &[KIND]),
    required(Source::Engagement, "happened_at", Kind::Day, &[HAPPENED_AT]),
    optional(Source::Contacts, "tenant", Kind::Key, &[]),
    required(Source::Contacts, "customer", Kind::Key, &[CUSTOMER]),
    required(Source::Contacts, "channel", Kind::Text, &[&["channel"]]),
    required(Source::Contacts, "contacted_at", Kind::Day, &[CONTACTED_AT]),
    optional(Source::Contacts, "scenario", Kind::Text, &[&["scenario"]]),
    optional(Source::Contacts, "step", Kind::Text, &[&["step"]]),
    optional(Source::Contacts, "group", Kind::Text, &[&["group", "test_group"]]),
    optional(Source::Contacts, "campaign", Kind::Text, &[&["campaign", "campaign_name", "キャンペーン"]]),
    optional(Source::MembershipLog, "tenant", Kind::Key, &[]),
    required(Source::MembershipLog, "customer", Kind::Key, &[CUSTOMER]),
    required(Source::MembershipLog, "membership", Kind::Text, &[MEMBERSHIP, &["status"]]),
    required(Source::MembershipLog, "since", Kind::Day, &[SINCE]),
    optional(Source::Customers, "tenant", Kind::Key, &[]),
    required(Source::Customers, "customer", Kind::Key, &[CUSTOMER, &["id"]]),
    optional(Source::Customers, "membership", Kind::Text, &[MEMBERSHIP]),
    optional(Source::Customers, "email", Kind::Text, &[EMAIL]),
    optional(Source::Customers, "phone", Kind::Text, &[PHONE]),
    optional(Source::Customers, "postal_address", Kind::Text, &[&["postal_address", "address", "住所"]]),
    optional(Source::Customers, "line_id", Kind::Text, &[&["line_id", "line_user_id"]]),
    optional(Source::Customers, "consents", Kind::Json, &[&["consents"]]),
    optional(Source::Customers, "last_contacted_on", Kind::Day, &[LAST_CONTACTED_ON]),
    optional(Source::Targets, "tenant", Kind::Key, &[]),
    required(Source::Targets, "kpi", Kind::Text, &[&["kpi", "指標"]]),
    required(Source::Targets, "period", Kind::Day, &[PERIOD]),
    required(Source::Targets, "target", Kind::Amount, &[&["target", "goal", "目標", "目標値"]]),
    optional(Source::Costs, "tenant", Kind::Key, &[]),
    required(Source::Costs, "period", Kind::Day, &[PERIOD]),
    required(Source::Costs, "purpose", Kind::Text, &[&["purpose", "目的"]]),
    required(Source::Costs, "amount", Kind::Amount, &[&["amount", "cost", "金額", "費用"]]),
];

/// Names that an order number often has. It is not guessed, because a wrong guess would add up orders; an audit looks at
/// columns of these names and proposes one.
const ORDER_NUMBERS: &[&str] = &[
    "order_id",
    "order_no",
    "order_number",
    "orderid",
    "invoice",
    "invoice_no",
    "invoice_id",
    "basket_id",
    "注文番号",
    "注文ID",
    "伝票番号",
];

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct TableColumn<'a> {
    /// Its name.
    pub name: &'a str,
    /// The short name of its type, such as `int8`; of a domain, the type it stands on; empty for a type that is not built in.
    pub type_name: &'a str,
    /// Whether whoever asks may read it.
    pub is_readable: bool,
}

/// Where a role's column is to come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// The shop named it.
    Named(&'a str),
    /// The shop said that there is none.
    Nothing,
    /// It is guessed.
    Guess,
}

/// Which column a role gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// This one, by its place in the list of columns.
    Column(usize),
    /// None, and none is needed.
    None,
    /// Several could be it.
    Ambiguous(Vec<usize>),
    /// None, but one is needed.
    Missing,
    /// There is no column of the name that was given.
    Unknown,
    /// The column that was named is of a type that does not fit.
    Unfit(usize),
}

impl Role {
    /// The column of the settings of a segmentation that names it.
    pub fn setting(&self) -> String {
        match self.source {
            Source::Orders => self.name.to_owned(),
            source => format!("{}_{}", source.name(), self.name),
        }
    }

    /// The role of a source's column.
    pub fn find(source: &str, name: &str) -> Option<&'static Role> {
        ROLES.iter().find(|role| role.source.name() == source && role.name == name)
    }

    /// Which of the columns of a table is it.
    ///
    /// `like_orders` is the orders' column of the same role: keys of other sources are called like it first, and a part of the
    /// key that the orders have is needed everywhere. A column that whoever asks may not read is not guessed, unless nothing
    /// else can be what is needed: then reading it says which right is missing.
    pub fn choose(&self, columns: &[TableColumn], wanted: Wanted, like_orders: Option<&str>) -> Choice {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        let choice = match wanted {
            Wanted::Named(name) => place(name).map_or(Choice::Unknown, |place| self.checked(columns, place)),
            Wanted::Nothing => Choice::None,
            Wanted::Guess => match like_orders.and_then(place) {
                Some(place) => self.checked(columns, place),
                None => self.guess(columns),
            },
        };
        if choice == Choice::None && (self.is_required || like_orders.is_some()) { Choice::Missing } else { choice }
    }

    /// The role of a source's columns that a column of this name is guessed to be; `None` where it tells nothing, or several.
    pub fn called(source: &str, name: &str) -> Option<&'static Role> {
        let mut called = ROLES.iter().filter(|role| role.source.name() == source && role.is_called(name));
        called.next().filter(|_| called.next().is_none())
    }

    fn is_called(&self, name: &str) -> bool {
        self.names.iter().any(|names| is_one_of(name, names))
    }

    fn checked(&self, columns: &[TableColumn], place: usize) -> Choice {
        if self.kind.fits(columns[place].type_name) { Choice::Column(place) } else { Choice::Unfit(place) }
    }

    fn guess(&self, columns: &[TableColumn]) -> Choice {
        let fits = |column: &TableColumn| self.is_called(column.name) && self.kind.fits(column.type_name);
        let found = |only_readable: bool| -> Vec<usize> {
            let usable = |column: &TableColumn| fits(column) && (column.is_readable || !only_readable);
            columns.iter().enumerate().filter(|(_, column)| usable(column)).map(|(place, _)| place).collect()
        };
        let mut places = found(true);
        if places.is_empty() && self.is_required {
            places = found(false);
        }
        match places[..] {
            [] => Choice::None,
            [place] => Choice::Column(place),
            _ => Choice::Ambiguous(places),
        }
    }
}

/// Whether a column is called as order numbers often are.
pub fn is_called_like_an_order_number(name: &str) -> bool {
    is_one_of(name, ORDER_NUMBERS)
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| {
        let (name, known) = (name.chars().flat_map(char::to_lowercase), known.chars().flat_map(char::to_lowercase));
        name.eq(known)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns<'a>(columns: &[(&'a str, &'a str)]) -> Vec<TableColumn<'a>> {
        columns.iter().map(|&(name, type_name)| TableColumn { name, type_name, is_readable: true }).collect()
    }

    fn role(source: &str, name: &str) -> &'static Role {
        Role::find(source, name).unwrap_or_else(|| panic!("{source}.{name}"))
    }

    #[test]
    fn orders_are_found_by_their_names_and_types() {
        for (table, customer, day, amount) in [
            (columns(&[("customer_id", "int4"), ("ordered_at", "date"), ("amount", "numeric")]), 0, 1, 2),
            (columns(&[("TOTAL", "int4"), ("User_ID", "uuid"), ("Order_Date", "timestamp")]), 1, 2, 0),
            (columns(&[("顧客ID", "text"), ("注文日", "timestamptz"), ("合計金額", "int8")]), 0, 1, 2),
            // A column of another type is not what is meant.
            (
                columns(&[
                    ("order_date", "text"),
                    ("ordered_at", "date"),
                    ("total", "text"),
                    ("amount", "float8"),
                    ("customer_id", "int4"),
                ]),
                4,
                1,
                3,
            ),
        ] {
            for (name, expected) in [("customer", customer), ("ordered_at", day), ("amount", amount)] {
                assert_eq!(
                    role("orders", name).choose(&table, Wanted::Guess, None),
                    Choice::Column(expected),
                    "{name}: {table:?}"
                );
            }
        }
    }

    #[test]
    fn a_role_is_known_by_the_names_of_its_columns() {
        let called = |source, name| Role::called(source, name).map(|role| role.name);
        assert_eq!(called("contacts", "test_group"), Some("group"));
        assert_eq!(called("contacts", "Sent_At"), Some("contacted_at"));
        assert_eq!(called("orders", "顧客ID"), Some("customer"));
        for (source, name) in [("contacts", "body"), ("contacts", ""), ("orders", "order_no"), ("nothing", "amount")] {
            assert_eq!(called(source, name), None, "{source}.{name}");
        }
    }

    #[test]
    fn several_are_an_ambiguity_and_none_is_missing_where_one_is_needed() {
        let table = columns(&[("customer_id", "int4"), ("USER_ID", "int4"), ("the sum", "int4")]);
        assert_eq!(role("orders", "customer").choose(&table, Wanted::Guess, None), Choice::Ambiguous(vec![0, 1]));
        assert_eq!(role("orders", "amount").choose(&table, Wanted::Guess, None), Choice::Missing);
        assert_eq!(role("customers", "email").choose(&table, Wanted::Guess, None), Choice::None);
        assert_eq!(role("orders", "customer").choose(&[], Wanted::Guess, None), Choice::Missing);
    }

    #[test]
    fn what_would_change_results_silently_is_not_guessed() {
        let names = ["tenant", "order_id", "currency", "discounted"];
        let table = columns(&names.map(|name| (name, "bool")));
        for (place, name) in names.into_iter().enumerate() {
            assert_eq!(role("orders", name).choose(&table, Wanted::Guess, None), Choice::None, "{name}");
            assert_eq!(role("orders", name).choose(&table, Wanted::Named(name), None), Choice::Column(place), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_given_counts_as_it_is_written() {
        let table = columns(&[("Amount", "numeric"), ("amount", "text"), ("customer_id", "int4")]);
        let amount = |wanted| role("orders", "amount").choose(&table, wanted, None);
        assert_eq!(amount(Wanted::Named("Amount")), Choice::Column(0));
        assert_eq!(amount(Wanted::Named("amount")), Choice::Unfit(1));
        assert_eq!(amount(Wanted::Named("AMOUNT")), Choice::Unknown);
        assert_eq!(amount(Wanted::Nothing), Choice::Missing);
        let email = columns(&[("email", "text")]);
        assert_eq!(role("customers", "email").choose(&email, Wanted::Nothing, None), Choice::None);
    }

    #[test]
    fn other_sources_have_their_keys_called_like_those_of_the_orders() {
        let table = columns(&[("buyer", "int4"), ("customer_id", "int4"), ("shop", "int4")]);
        assert_eq!(role("engagement", "customer").choose(&table, Wanted::Guess, Some("buyer")), Choice::Column(0));
        assert_eq!(role("engagement", "customer").choose(&table, Wanted::Guess, Some("client")), Choice::Column(1));
        assert_eq!(role("engagement", "tenant").choose(&table, Wanted::Guess, Some("shop")), Choice::Column(2));
        assert_eq!(role("engagement", "tenant").choose(&table, Wanted::Guess, Some("store")), Choice::Missing);
        // A part of the key is needed, even where the shop says that there is none.
        assert_eq!(role("engagement", "tenant").choose(&table, Wanted::Nothing, Some("shop")), Choice::Missing);
        assert_eq!(role("engagement", "tenant").choose(&table, Wanted::Nothing, None), Choice::None);
        assert_eq!(role("engagement", "tenant").choose(&table, Wanted::Guess, None), Choice::None);
    }

    #[test]
    fn a_column_that_may_not_be_read_is_guessed_only_where_nothing_else_can_be_meant() {
        let mut table = columns(&[("customer_id", "int4"), ("user_id", "int4"), ("email", "text")]);
        table[0].is_readable = false;
        table[2].is_readable = false;
        assert_eq!(role("customers", "customer").choose(&table, Wanted::Guess, None), Choice::Column(1));
        assert_eq!(role("customers", "email").choose(&table, Wanted::Guess, None), Choice::None);
        table[1].is_readable = false;
        assert_eq!(role("customers", "customer").choose(&table, Wanted::Guess, None), Choice::Ambiguous(vec![0, 1]));
        assert_eq!(role("customers", "customer").choose(&table[..1], Wanted::Guess, None), Choice::Column(0));
    }

    #[test]
    fn no_column_is_found_for_two_roles_of_a_source() {
        for (first, one) in ROLES.iter().enumerate() {
            for other in &ROLES[first + 1..] {
                let is_shared = one.names.iter().copied().flatten().any(|name| other.is_called(name));
                assert!(one.source != other.source || !is_shared && one.name != other.name, "{one:?} {other:?}");
            }
            assert!(!one.is_required || !one.names.is_empty(), "{one:?}");
        }
    }

    #[test]
    fn order_numbers_are_recognized() {
        for name in ["Order_ID", "invoice", "注文id"] {
            assert!(is_called_like_an_order_number(name), "{name}");
        }
        assert!(!is_called_like_an_order_number("customer_id"));
    }
}
