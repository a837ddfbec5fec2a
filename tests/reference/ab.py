"""Writes the reference values of tests/specification/ab: python3 ab.py, in this folder.

Needs scipy 1.17.1, statsmodels 0.15.0, numpy 2.4.6 and siphash24 1.9; the files name what wrote them.
"""

import csv
import uuid

import numpy
import scipy
import scipy.stats
import siphash24
import statsmodels
from statsmodels.stats import proportion

VERSIONS = f"scipy {scipy.__version__}, statsmodels {statsmodels.__version__}, numpy {numpy.__version__}"


def write(name, comment, header, rows):
    with open(name, "w", newline="") as file:
        file.write(f"# {comment}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def rates():
    """Lift, its interval by Newcombe's method 10 and the p-value: Fisher's where an expected count is below 5, else z."""
    tables = [
        (56, 70, 48, 80), (9, 10, 3, 10), (10, 10, 0, 20), (10, 10, 0, 10), (5, 56, 0, 29), (0, 56, 5, 29),
        (1, 1, 0, 1), (0, 5, 0, 7), (5, 5, 7, 7), (3, 4, 1, 4), (2, 15, 8, 12), (12, 20, 3, 9), (1, 1000, 12, 1000),
        (4, 500, 5, 500), (5, 500, 5, 500), (10, 100, 20, 100), (100, 1000, 120, 1000), (120, 1000, 100, 1000),
        (31, 2000, 57, 2000), (2, 30, 700, 20000), (29, 30, 19300, 20000), (50123, 1000000, 49012, 1000000),
        (1000, 11516, 900, 11516), (3, 1000000, 12, 1500000), (250, 500, 100, 500), (7, 12, 100000, 200000),
    ]
    for r1, n1, r2, n2 in tables:
        expected = scipy.stats.contingency.expected_freq([[r1, n1 - r1], [r2, n2 - r2]])
        low, high = proportion.confint_proportions_2indep(r1, n1, r2, n2, method="newcomb", compare="diff")
        if expected.min() < 5:
            method, p = "fisher", scipy.stats.fisher_exact([[r1, n1 - r1], [r2, n2 - r2]])[1]
        else:
            method, p = "z", proportion.proportions_ztest([r1, r2], [n1, n2])[1]
        yield r1, n1, r2, n2, *(f"{value:.9f}" for value in (r1 / n1 - r2 / n2, low, high, p)), method


def amounts(customers, every, modulus, base):
    """One customer in so many has bought; in cents."""
    i = numpy.arange(1, customers + 1)
    return numpy.where(i % every == 0, (i * i * 31 + 7 * i) % modulus, 0) / 100 + base


def means():
    """Difference of revenue per head with Welch's interval."""
    for own, other in [
        ((2, 1, 1000, 0), (2, 1, 1700, 0)), ((2, 1, 1000, 0), (50, 3, 90000, 0)), ((10, 2, 5003, 0), (12, 3, 5003, 0)),
        ((40, 1, 99991, 0), (25, 1, 99991, 0)), ((190, 2, 9973, 0), (210, 2, 9973, 0)),
        ((1000, 7, 80021, 0), (900, 9, 80021, 0)), ((5000, 20, 300007, 0), (20000, 25, 300007, 0)),
        ((100000, 20, 300007, 0), (100000, 21, 300007, 0)), ((300, 1, 997, 1000000), (200, 1, 991, 1000000)),
        ((3, 1, 1000, 0), (500, 600, 1000, 0)),
    ]:
        x, y = amounts(*own), amounts(*other)
        interval = scipy.stats.ttest_ind(x, y, equal_var=False).confidence_interval()
        yield *own, *other, *(f"{value:.9f}" for value in (x.mean() - y.mean(), interval.low, interval.high))


def sample_sizes():
    """Customers a group, before rounding up."""
    for base in (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 0.5, 0.9):
        for lift in (-0.05, -0.002, 0.001, 0.01, 0.02, 0.05, 0.1, 0.25):
            if 0 <= round(base + lift, 9) <= 1:
                for power, alpha in ((0.8, 0.05), (0.9, 0.05), (0.9, 0.01), (0.5, 0.1)):
                    # Its lift is that of the first group over the second.
                    size = proportion.samplesize_proportions_2indep_onetail(
                        lift, base, power, ratio=1, alpha=alpha, alternative="two-sided")
                    yield base, lift, power, alpha, f"{size:.6f}"


def groups():
    """Place of a customer in a test, 0 to 2^64: SipHash-2-4 with a key of zeros over test, zero byte, key."""
    keys = [*range(-3, 40), 2**31 - 1, -2**31, 2**31, 2**63 - 1, -2**63, 1234567, "A-17", "a-17", "", "お客様 17", "x" * 300]
    keys += [uuid.UUID(int=0x0123456789abcdef << 64 | 17 * i) for i in range(5)]
    for test in ("spring", "Spring", "春のオファー", "x" * 63):
        for key in keys:
            data = test.encode() + b"\0" + str(key).encode()
            yield test, key, siphash24.siphash24(data, key=bytes(16)).intdigest() % 2**64


if __name__ == "__main__":
    write("ab_rates.csv", f"{VERSIONS}: confint_proportions_2indep(method='newcomb'), proportions_ztest, fisher_exact",
          ("r1", "n1", "r2", "n2", "lift", "low", "high", "p", "method"), rates())
    write("ab_means.csv", f"{VERSIONS}: ttest_ind(equal_var=False).confidence_interval(); amounts as in ab.py",
          ("customers1", "every1", "modulus1", "base1", "customers2", "every2", "modulus2", "base2", "lift", "low", "high"), means())
    write("ab_sample_sizes.csv", f"{VERSIONS}: samplesize_proportions_2indep_onetail(alternative='two-sided')",
          ("base_rate", "lift", "power", "alpha", "customers"), sample_sizes())
    write("ab_places.csv", "siphash24 1.9: siphash24(test + zero byte + key, key of 16 zero bytes)", ("test", "key", "place"), groups())
