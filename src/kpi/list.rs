//! The KPIs of a calendar month that a shop sets targets for.

use crate::labels::labels;

labels! {
    /// A KPI of a calendar month.
    Kpi "KPI" {
        /// What was paid.
        Revenue = "revenue", "Revenue", "売上";
        /// How often something was bought.
        Orders = "orders", "Orders", "注文件数";
        /// What an order brings.
        AverageOrderValue = "average_order_value", "Average order value", "平均注文額";
        /// Who bought.
        Buyers = "buyers", "Buyers", "購入者数";
        /// Who bought for the first time.
        Acquired = "acquired", "New customers", "新規顧客数";
        /// The second purchase, soon.
        F2Within30 = "f2_within_30_days", "F2 within 30 days", "F2転換率（30日以内）";
        /// The second purchase, within two months.
        F2Within60 = "f2_within_60_days", "F2 within 60 days", "F2転換率（60日以内）";
        /// The second purchase, within three months.
        F2Within90 = "f2_within_90_days", "F2 within 90 days", "F2転換率（90日以内）";
        /// Retention in the calendar month after the first purchase.
        Retained1 = "retained_month_1", "Retention, month 1", "継続率（1か月後）";
        /// Three months after it.
        Retained3 = "retained_month_3", "Retention, month 3", "継続率（3か月後）";
        /// Six months after it.
        Retained6 = "retained_month_6", "Retention, month 6", "継続率（6か月後）";
        /// A year after it.
        Retained12 = "retained_month_12", "Retention, month 12", "継続率（12か月後）";
        /// Dormant customers who bought.
        Reactivated = "reactivated", "Reactivated customers", "復活顧客数";
        /// Their share of the dormant.
        ReactivationRate = "reactivation_rate", "Reactivation rate", "復活率";
        /// Customers at risk who bought.
        AtRiskSaved = "at_risk_saved", "At-risk customers saved", "休眠予備軍の引き留め率";
        /// Who fell asleep.
        BecameDormant = "became_dormant", "Share that became dormant", "休眠化率";
        /// Who sleeps.
        DormantShare = "dormant_share", "Share of dormant customers", "休眠顧客の割合";
        /// Who is VIP.
        VipShare = "vip_share", "Share of VIPs", "優良顧客の割合";
        /// What a new customer cost.
        AcquisitionCost = "acquisition_cost", "Cost of a new customer", "新規獲得単価";
        /// What a reactivated customer cost.
        ReactivationCost = "reactivation_cost", "Cost of a reactivated customer", "復活獲得単価";
    }
}

/// What the costs that a KPI takes were spent on: customers who are new, and customers who come back.
pub const PURPOSES: [&str; 2] = ["acquisition", "reactivation"];

/// What a KPI is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Currency units.
    Amount,
    /// Customers or orders.
    Count,
    /// A share from 0 to 1.
    Rate,
}

impl Unit {
    /// The name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Amount => "amount",
            Unit::Count => "count",
            Unit::Rate => "rate",
        }
    }
}

impl Kpi {
    /// What it is measured in.
    pub fn unit(self) -> Unit {
        match self {
            Kpi::Revenue | Kpi::AverageOrderValue | Kpi::AcquisitionCost | Kpi::ReactivationCost => Unit::Amount,
            Kpi::Orders | Kpi::Buyers | Kpi::Acquired | Kpi::Reactivated => Unit::Count,
            _ => Unit::Rate,
        }
    }

    /// Whether a target is the most it may be; of the others it is the least.
    pub fn lower_is_better(self) -> bool {
        use Kpi::*;
        matches!(self, BecameDormant | DormantShare | AcquisitionCost | ReactivationCost)
    }

    /// Whether it grows from 0 in the course of the month, so that a part of the month is held against a part of the target.
    /// The others can be read on any day as they are.
    pub fn builds_up(self) -> bool {
        use Kpi::*;
        matches!(
            self,
            Revenue | Orders | Buyers | Acquired | Reactivated | ReactivationRate | AtRiskSaved | BecameDormant
        ) || self.months_after().is_some()
    }

    /// Of a retention: so many calendar months after that of the first purchase.
    pub fn months_after(self) -> Option<i32> {
        match self {
            Kpi::Retained1 => Some(1),
            Kpi::Retained3 => Some(3),
            Kpi::Retained6 => Some(6),
            Kpi::Retained12 => Some(12),
            _ => None,
        }
    }

    /// How many days after the end of the month it can still change: those that customers have for their second purchase.
    pub fn settles_after_days(self) -> i32 {
        match self {
            Kpi::F2Within30 => 30,
            Kpi::F2Within60 => 60,
            Kpi::F2Within90 => 90,
            _ => 0,
        }
    }

    /// What is counted, of what.
    pub fn meaning(self) -> &'static str {
        match self {
            Kpi::Revenue => "Sum of all amounts of the month, refunds included.",
            Kpi::Orders => "Number of orders of the month.",
            Kpi::AverageOrderValue => "Revenue of the month / its orders.",
            Kpi::Buyers => "Customers with an order in the month.",
            Kpi::Acquired => "Customers whose first purchase lies in the month.",
            Kpi::F2Within30 => {
                "Of the month's new customers, those with a second purchase day at most 30 days after the first."
            }
            Kpi::F2Within60 => {
                "Of the month's new customers, those with a second purchase day at most 60 days after the first."
            }
            Kpi::F2Within90 => {
                "Of the month's new customers, those with a second purchase day at most 90 days after the first."
            }
            Kpi::Retained1 => "Of those whose first purchase was one calendar month earlier, those who bought.",
            Kpi::Retained3 => "Of those whose first purchase was three calendar months earlier, those who bought.",
            Kpi::Retained6 => "Of those whose first purchase was six calendar months earlier, those who bought.",
            Kpi::Retained12 => "Of those whose first purchase was twelve calendar months earlier, those who bought.",
            Kpi::Reactivated => "Customers dormant at the end of the month before who bought in the month.",
            Kpi::ReactivationRate => "Of those dormant at the end of the month before, those who bought in the month.",
            Kpi::AtRiskSaved => "Of those at risk at the end of the month before, those who bought in the month.",
            Kpi::BecameDormant => {
                "Of the customers who were not dormant at the end of the month before, those dormant at the end of the month."
            }
            Kpi::DormantShare => {
                "Of all customers who have bought by the end of the month, those who are dormant then."
            }
            Kpi::VipShare => {
                "Of all customers who have bought by the end of the month, those whose lifecycle state is vip then."
            }
            Kpi::AcquisitionCost => "Costs of acquisition of the month / its new customers.",
            Kpi::ReactivationCost => "Costs of reactivation of the month / its reactivated customers.",
        }
    }

    /// The same in Japanese.
    pub fn meaning_ja(self) -> &'static str {
        match self {
            Kpi::Revenue => "その月の金額の合計（返金込み）。",
            Kpi::Orders => "その月の注文の数。",
            Kpi::AverageOrderValue => "その月の売上 / 注文件数。",
            Kpi::Buyers => "その月に購入した顧客の数。",
            Kpi::Acquired => "その月に初めて購入した顧客の数。",
            Kpi::F2Within30 => "その月の新規顧客のうち、初回から 30 日以内に 2 回目の購入日があった割合。",
            Kpi::F2Within60 => "その月の新規顧客のうち、初回から 60 日以内に 2 回目の購入日があった割合。",
            Kpi::F2Within90 => "その月の新規顧客のうち、初回から 90 日以内に 2 回目の購入日があった割合。",
            Kpi::Retained1 => "1 か月前に初めて購入した顧客のうち、その月に購入した割合。",
            Kpi::Retained3 => "3 か月前に初めて購入した顧客のうち、その月に購入した割合。",
            Kpi::Retained6 => "6 か月前に初めて購入した顧客のうち、その月に購入した割合。",
            Kpi::Retained12 => "12 か月前に初めて購入した顧客のうち、その月に購入した割合。",
            Kpi::Reactivated => "前月末に休眠していて、その月に購入した顧客の数。",
            Kpi::ReactivationRate => "前月末に休眠していた顧客のうち、その月に購入した割合。",
            Kpi::AtRiskSaved => "前月末に休眠予備軍だった顧客のうち、その月に購入した割合。",
            Kpi::BecameDormant => "前月末に休眠していなかった顧客のうち、月末に休眠している割合。",
            Kpi::DormantShare => "月末までに購入した顧客のうち、休眠している割合。",
            Kpi::VipShare => "月末までに購入した顧客のうち、状態が優良である割合。",
            Kpi::AcquisitionCost => "その月の新規獲得の費用 / 新規顧客数。",
            Kpi::ReactivationCost => "その月の復活施策の費用 / 復活顧客数。",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_better_and_how_it_grows() {
        let named = |is: fn(Kpi) -> bool| {
            let names: Vec<_> = Kpi::ALL.iter().filter(|&&kpi| is(kpi)).map(|kpi| kpi.name()).collect();
            names.join(" ")
        };
        assert_eq!(named(Kpi::lower_is_better), "became_dormant dormant_share acquisition_cost reactivation_cost");
        assert_eq!(
            named(|kpi| !kpi.builds_up()),
            "average_order_value f2_within_30_days f2_within_60_days f2_within_90_days dormant_share vip_share \
             acquisition_cost reactivation_cost"
        );
        // What its name says.
        for kpi in Kpi::ALL {
            let days = kpi.name().strip_prefix("f2_within_").and_then(|rest| rest.strip_suffix("_days"));
            assert_eq!(kpi.settles_after_days().to_string(), days.unwrap_or("0"));
            let months = kpi.name().strip_prefix("retained_month_").map(str::to_owned);
            assert_eq!(kpi.months_after().map(|months| months.to_string()), months);
        }
    }
}
