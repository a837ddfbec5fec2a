# Reads the header of a CSV file and finds the columns of an order table by their names, or by CUSTOMER, DATE, AMOUNT
# and ORDER in the environment. Prints shell assignments.

# A header line into names[]: quotes may enclose a name and the delimiter in it.
function split_header(line, delimiter, names,    n, i, c, quoted) {
	n = 1
	names[1] = ""
	for (i = 1; i <= length(line); i++) {
		c = substr(line, i, 1)
		if (c == "\"") quoted = !quoted
		else if (c == delimiter && !quoted) names[++n] = ""
		else names[n] = names[n] c
	}
	return n
}

# "Order Date", order-date and orderDate are all orderdate.
function plain(name) {
	name = tolower(name)
	gsub(/[ _.-]/, "", name)
	return name
}

function fail(message) {
	printf "pg_rfm: %s\n        columns of the file: %s\n", message, listed > "/dev/stderr"
	failed = 1
	exit 1
}

# The column for a role: the one asked for, else the only one named as in the first group that has any.
function find(role, asked, groups,    g, i, k, known, found, both) {
	if (asked != "") {
		for (i = 1; i <= n; i++) if (names[i] == asked || plain(names[i]) == plain(asked)) return i
		fail(role "=" asked ": there is no such column")
	}
	for (g = 1; g <= split(groups, known, "|"); g++) {
		found = 0
		for (i = 1; i <= n; i++) {
			if (index(" " known[g] " ", " " plain(names[i]) " ") == 0 || names[i] == "") continue
			if (found) fail(names[found] " and " names[i] " could both be the " tolower(role) ": say which, make demo " role "=" names[found])
			found = i
		}
		if (found) return found
	}
	return 0
}

function need(role, groups,    column) {
	column = find(role, ENVIRON[role], groups)
	if (!column) fail("no column is called like a " tolower(role) ": say which it is, make demo " role "=...")
	return column
}

NR == 1 {
	sub(/^\357\273\277/, "") # byte order mark
	sub(/\r$/, "")
	delimiter = ","
	most = split_header($0, ",", names)
	if (split_header($0, ";", other) > most) { delimiter = ";"; most = split_header($0, ";", other) }
	if (split_header($0, "\t", other) > most) delimiter = "\t"
	n = split_header($0, delimiter, names)
	for (i = 1; i <= n; i++) listed = listed (i > 1 ? ", " : "") names[i]

	customer = need("CUSTOMER", "customerid customer customerno customernumber customercode userid user clientid memberid buyerid accountid 顧客id 顧客番号 顧客コード 会員id 会員番号 会員コード|email customeremail mailaddress メールアドレス|customername name 顧客名 氏名|id")
	date = need("DATE", "orderedon orderedat orderdate orderts ordertime orderdatetime orderday purchasedate purchasedat purchasedon invoicedate transactiondate 注文日 注文日時 受注日 受注日時 購入日 購入日時|date datetime day timestamp 日付 日時|createdat created processedat paidat")
	amount = need("AMOUNT", "amount totalamount orderamount total ordertotal grandtotal totalprice revenue sales 金額 合計 合計金額 注文金額 受注金額 購入金額 売上 売上金額|price subtotal value netamount 小計 税込金額")
	order = find("ORDER", ENVIRON["ORDER"], "orderid orderno ordernumber invoiceid invoiceno invoicenumber invoice 注文番号 受注番号|transactionid")
	printf "columns=%d delimiter='%s' customer=%d date=%d amount=%d order=%d\n", n, (delimiter == "\t" ? "\\t" : delimiter), customer, date, amount, order
	printf "        customer: %s, date: %s, amount: %s%s\n", names[customer], names[date], names[amount], order ? ", order: " names[order] : "" > "/dev/stderr"
}
# Read to the end, so that whoever writes into the pipe does not fail.
END { if (!NR && !failed) fail("the file is empty"); exit failed }
