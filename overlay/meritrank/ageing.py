"""Epoch decay (gamma): feedback loses a share of its weight with each epoch of age, in integers."""

# Weights are counted in 1,024ths while they age, so a single unit fades in steps and is forgotten below 1/1,024.
AGEING_BITS = 10
_FACTOR_BITS = 30


def factor(gamma: float, age: int) -> int:
    """(1-gamma)^age in 2^-30ths, by integer multiplication so that every platform agrees. Negative ages count as 0."""
    power = round((1 - gamma) * 2**_FACTOR_BITS)
    result = 1 << _FACTOR_BITS
    while age > 0:
        if age & 1:
            result = result * power >> _FACTOR_BITS
        power = power * power >> _FACTOR_BITS
        age >>= 1
    return result


def aged(weight: int, gamma: float, age: int) -> int:
    """What is left of `weight` after `age` epochs, in 1,024ths."""
    return (weight << AGEING_BITS) * factor(gamma, age) >> _FACTOR_BITS
