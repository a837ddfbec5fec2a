"""Writes the reference values of tests/specification/prediction: python3 prediction.py, in this folder.

Needs mpmath 1.4.1. Formulas as the papers print them, with 2F1 or as integrals, in 40 digits: none is that of the Rust code.
"""

import csv
import random

import mpmath
from mpmath import mp, mpf

mp.dps = 40


def beta_geometric(first, r, alpha, a, b, x, span, tenure, days):
    """P(alive) and expected purchases: Fader, Hardie, Lee 2005, equation 10; with the first purchase, Wagner, Hoppe 2008."""
    stays = x + (1 if first else 0)
    m, scale, after = r + x, alpha + tenure, b + stays
    odds = a / (b + stays - 1) * ((alpha + tenure) / (alpha + span)) ** m if stays > 0 else mpf(0)
    alive = 1 / (1 + odds)
    # The formula has no value at a = 1, and loses as many digits as a is near to it.
    with mp.workdps(mp.dps + 40):
        a = a + mpf(10) ** -30 if a == 1 else a
        z = days / (scale + days)
        hyper = mpmath.hyp2f1(m, after, a + after - 1, z)
        expected = (a + after - 1) / (a - 1) * (1 - (scale / (scale + days)) ** m * hyper)
    return alive, alive * expected, alive * (1 - (scale / (scale + days)) ** m)


def pareto(r, alpha, s, beta, x, span, tenure, days):
    """P(alive), expected purchases and purchase probability: Schmittlein, Morrison, Colombo 1987, as integrals."""
    m, scale, left = r + x, alpha + tenure, beta + tenure

    def integral(function, low, high):
        # In the logarithm of the distance, in pieces: the integrand can fall steeply.
        base = min(alpha, beta) + low
        length = mpmath.log((high - low) / base + 1)
        pieces = [length * i / 12 for i in range(13)]
        return mpmath.quad(lambda u: function(low + base * mpmath.expm1(u)) * base * mpmath.exp(u), pieces)

    odds = mpf(0)
    if tenure > span:
        odds = integral(lambda w: s / (beta + w) * ((alpha + tenure) / (alpha + w)) ** m * ((beta + tenure) / (beta + w)) ** s,
                        span, tenure)
    alive = 1 / (1 + odds)
    time = left * mpmath.log(1 + days / left) if s == 1 else left / (s - 1) * (1 - (left / (left + days)) ** (s - 1))
    first = integral(lambda w: m / (scale + w) * (scale / (scale + w)) ** m * (left / (left + w)) ** s, mpf(0), days)
    return alive, alive * m / scale * time, alive * first


def cases():
    random.seed(1987)
    for number in range(90):
        model = ("mbgnbd", "bgnbd", "paretonbd")[number % 3]
        r, alpha = 10 ** random.uniform(-2, 3), 10 ** random.uniform(-1.5, 5)
        least = (-3, -1) if model != "paretonbd" else (-2, 0)
        third, fourth = 10 ** random.uniform(least[0], 3), 10 ** random.uniform(least[1], 4)
        if number % 10 == 0:
            third = 1.0
        x = random.choice((0, 0, 1, 2, 5, 30, 200, 1000))
        span = 0 if x == 0 else x + int(10 ** random.uniform(0, 3))
        tenure = span + random.choice((0, 1, int(10 ** random.uniform(0, 3)), int(10 ** random.uniform(0, 3))))
        yield model, [float(f"{value:.6g}") for value in (r, alpha, third, fourth)], x, span, tenure, random.choice((1, 30, 90, 365))


def rows():
    for model, parameters, x, span, tenure, days in cases():
        exact = [mpf(value) for value in parameters] + [mpf(value) for value in (x, span, tenure, days)]
        alive, expected, some = pareto(*exact) if model == "paretonbd" else beta_geometric(model == "mbgnbd", *exact)
        yield (model, *(repr(value) for value in parameters), x, span, tenure, days,
               *(mpmath.nstr(value, 15) for value in (alive, expected, some)))


if __name__ == "__main__":
    with open("prediction.csv", "w", newline="") as file:
        file.write(f"# mpmath {mpmath.__version__}, {mp.dps} digits: closed forms and integrals of the papers\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("model", "r", "alpha", "third", "fourth", "x", "t_x", "T", "days", "p_alive", "expected", "probability"))
        writer.writerows(rows())
