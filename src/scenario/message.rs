//! The messages that steps name: what they are called, and a line that invites the customer.

/// A message of a step.
#[derive(Debug)]
pub struct Message {
    /// Its key.
    pub key: &'static str,
    /// Its title in English.
    pub title_en: &'static str,
    /// Its title in Japanese.
    pub title_ja: &'static str,
    /// What to say to the customer, in Japanese: what she is asked to do is a part that she can be proud of.
    pub invitation_ja: &'static str,
}

const fn message(
    key: &'static str,
    title_en: &'static str,
    title_ja: &'static str,
    invitation_ja: &'static str,
) -> Message {
    Message { key, title_en, title_ja, invitation_ja }
}

/// All messages: first steps, coming back, being heard, taking part, being thanked.
pub const MESSAGES: &[Message] = &[
    message(
        "first_offer",
        "The first order",
        "初回のご案内",
        "はじめてのお客様に、まずは小さくお試しいただける分をご用意しました。どうぞ遠慮のない目でお確かめください。最初のお客様のひと言が、商品をさらに良くいたします。",
    ),
    message(
        "start_using",
        "Start using it",
        "使い始めのご案内",
        "お届けした商品は、もうお試しいただけましたか。最初の一週間の使い方をまとめました。お客様の最初のご感想は、これから始める方の道しるべになります。ぜひひと言お聞かせください。",
    ),
    message(
        "make_it_a_habit",
        "Make it a habit",
        "毎日続けるコツ",
        "無理なく続けていらっしゃるお客様の、小さな工夫をお届けします。お客様の続け方も、次に始める方のお手本としてご紹介させていただけましたら幸いです。",
    ),
    message(
        "second_purchase",
        "The second order",
        "二回目のご案内",
        "そろそろお手元の分がなくなる頃かと存じます。続けてこそわかる変化を、最初に教えていただけるのは、使い続けてくださるお客様です。次の一か月のご感想を楽しみにお待ちしております。",
    ),
    message(
        "reason_to_continue",
        "A reason to continue",
        "続けていただきたい理由",
        "続けるほどに良さがわかる理由を、開発担当がご説明いたします。違いのわかるお客様として、どうぞ厳しい目でお確かめください。",
    ),
    message(
        "why_this_product",
        "Why this product and not another",
        "この商品をお選びいただく理由",
        "ほかの商品とどこが違うのか、作り手が包み隠さずお話しします。確かな目をお持ちのお客様にこそ、ご判断いただきたい内容です。",
    ),
    message(
        "how_others_use_it",
        "How others use it",
        "みなさまの使い方",
        "長くご愛用のお客様の使い方を集めました。お客様ならではの使い方も、ぜひお聞かせください。先輩のお客様のひと工夫として、次号でご紹介いたします。",
    ),
    message(
        "how_to_guide",
        "Getting the best out of it",
        "上手な使い方",
        "良さを引き出す使い方を、写真でわかりやすくまとめました。お試しになってお気づきの点は、次の改訂に反映いたします。ご一緒に、いちばん親切な手引きを作っていただけませんか。",
    ),
    message(
        "use_up",
        "Help using it up",
        "使い切り方のご案内",
        "お手元に残っている分を、最後まで無駄なく使い切る方法をご紹介します。お客様のアイデアもお寄せください。みなさまの知恵袋に、お名前とともに掲載いたします。",
    ),
    message(
        "restart",
        "How to start again",
        "無理のない再開のご案内",
        "お休みのあとの再開は、週に一度からで十分です。再開されたお客様の体験は、同じように迷っている方の何よりの励ましになります。よろしければ、その一歩をお聞かせください。",
    ),
    message(
        "reason_to_return",
        "A reason to come back",
        "もう一度お使いいただきたい理由",
        "ご無沙汰しております。以前のお客様だからこそ気づいていただける変化がございます。いまの商品を、もう一度お客様の目で確かめていただけませんか。",
    ),
    message(
        "whats_new",
        "What is new",
        "新しくなったところ",
        "お客様からいただいた声をもとに、ここが新しくなりました。以前をご存じのお客様に、良くなったかどうかを見届けていただきたく、ご案内申し上げます。",
    ),
    message(
        "welcome_back",
        "Welcome back",
        "お帰りなさいのご挨拶",
        "お帰りなさいませ。またお選びいただけたことを、一同うれしく存じます。お戻りの決め手になったことを、ぜひお聞かせください。次にお戻りになる方への道しるべといたします。",
    ),
    message(
        "check_in",
        "Checking in",
        "ご様子伺い",
        "その後、お変わりなくお過ごしでしょうか。お困りのことがございましたら、どうぞ遠慮なくお知らせください。お客様のひと言が、私どもの何よりの手がかりです。",
    ),
    message(
        "quarterly_letter",
        "Quarterly letter",
        "季節のお便り",
        "長くご愛顧くださったお客様へ、季節のご挨拶を申し上げます。お客様に育てていただいた商品の近況を、まずお客様にお伝えしたく、お便りをお送りいたします。",
    ),
    message(
        "customer_letter",
        "Customer letter",
        "会報誌",
        "ご愛用のみなさまとお作りする会報誌をお届けします。お客様の使い方やひと工夫を、次号の誌面でご紹介させてください。みなさまが楽しみにしておられるのは、お客様の声です。",
    ),
    message(
        "hearing_call",
        "Hearing call",
        "お話を伺うお電話",
        "売り込みではございません。お客様が感じられたことを、責任者が直接お伺いします。率直なお言葉が、これからお使いになる方を助けます。どうか私どもの相談役として、お力をお貸しください。",
    ),
    message(
        "customer_voices",
        "Customer voices",
        "お客様の声",
        "良いお声も、厳しいお声も、そのままお届けします。お客様のご意見もぜひお加えください。いただいたお声には、担当者が一つひとつお返事を差し上げます。",
    ),
    message(
        "return_program",
        "Return program",
        "休会からの復帰のご案内",
        "お席はそのままご用意しております。ご都合のよい間隔と量で、いつでもお戻りいただけます。お休みを経て戻られた方の声は、会員のみなさまの心強いお手本です。",
    ),
    message(
        "reacquisition",
        "Re-acquisition",
        "再入会のご案内",
        "ご退会の際にいただいたお声を、このように活かしました。きっかけをくださったお客様に、変わった私どもをいちばんに見ていただきたく、ご案内申し上げます。",
    ),
    message(
        "trial_again",
        "Try it again",
        "再お試しのご案内",
        "お詫びと感謝を込めて、お試しの品をご用意しました。本当に良くなったかどうか、どうぞ率直なご採点をお願いいたします。お客様の採点を、次の改良の出発点といたします。",
    ),
    message(
        "review_request",
        "Ask for a review",
        "レビューのお願い",
        "はじめての方が安心して選べるよう、ご愛用者を代表して、率直なご感想をひと言お寄せいただけませんか。お客様の言葉が、どなたかの最初の一歩を後押しします。",
    ),
    message(
        "survey",
        "Ask for a survey",
        "アンケートのお願い",
        "次の商品づくりの会議に、お客様の声を持ち込ませてください。三分ほどのアンケートです。ご提案が形になりましたときは、発案者としてご報告いたします。",
    ),
    message(
        "referral",
        "Invite a referral",
        "ご紹介のお願い",
        "「あの人にも教えたい」と思い浮かぶ方はいらっしゃいますか。お客様からのひと言ほど、確かな案内はございません。大切な方への案内役を、どうぞお引き受けください。",
    ),
    message(
        "community",
        "Invite to the community",
        "コミュニティへのご招待",
        "ご愛用のみなさまが集う場に、ぜひお迎えしたく存じます。お客様の経験は、始めたばかりの方にとって何よりの助けです。頼れる先輩として、ご参加をお待ちしております。",
    ),
    message(
        "seminar",
        "Invite to a seminar",
        "セミナーへのご招待",
        "専門家と開発担当が、毎日に役立つお話をいたします。長くお使いのお客様には、体験を語る側としてのご参加も歓迎いたします。",
    ),
    message(
        "factory_tour",
        "Invite to a factory tour",
        "工場見学へのご招待",
        "作る現場を、お客様の目で確かめてください。ご覧になって感じられたことは、作り手が直接うかがいます。品質の見届け人として、お迎えいたします。",
    ),
    message(
        "round_table",
        "Invite to a round table",
        "座談会へのご招待",
        "次の商品を、ご一緒に考えていただけませんか。開発担当と同じ卓を囲み、ご意見を交わす少人数の会です。商品づくりの仲間として、お席をご用意いたします。",
    ),
    message(
        "early_access",
        "Early access",
        "新商品の先行案内",
        "発売に先立ち、いつも支えてくださるお客様だけにご案内いたします。最初の使い手として、世に出る前の最後の仕上げにお力をお貸しください。",
    ),
    message(
        "purchase_count_reward",
        "Reward for the number of orders",
        "ご愛用回数のお礼",
        "お買い上げを重ねてくださったことに、心より御礼申し上げます。お客様の歩みへの感謝のしるしをお選びください。ご愛用の歴史が、この商品の誇りです。",
    ),
    message(
        "subscription",
        "Offer the subscription",
        "定期便のご案内",
        "なくなる頃に、自然に届く定期便をご用意しております。間隔の変更もお休みもご自由です。続けてくださるお客様とともに、長く愛される商品に育ててまいります。",
    ),
    message(
        "thank_you",
        "Thank you",
        "お礼のご挨拶",
        "日頃のご愛顧に、心より御礼申し上げます。お客様がいてくださるからこそ、この商品を作り続けることができます。これからも、いちばん近くで見守っていただけましたら幸いです。",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_history::check_name;

    #[test]
    fn every_message_has_its_own_key_and_something_to_say() {
        for (position, message) in MESSAGES.iter().enumerate() {
            check_name("key", message.key).unwrap();
            assert!(MESSAGES[..position].iter().all(|before| before.key != message.key), "{}", message.key);
            assert!(message.title_en.is_ascii() && !message.title_en.is_empty(), "{}", message.key);
            assert!(!message.title_ja.is_ascii() && message.invitation_ja.ends_with('。'), "{}", message.key);
        }
    }
}
