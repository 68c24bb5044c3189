"""What this plugin offers."""

from medkit import Component, hookimpl


@hookimpl
def medkit_samplers():
    return [
        Component(
            "balanced",
            "medkit_balanced_sampling.sampler:BalancedSampler",
            "every class equally often in expectation, multi-label images stay in",
            "Lagrange dual of a least-squares or maximum-entropy problem: Boyd, Vandenberghe 2004, ISBN 0521833787",
        )
    ]
