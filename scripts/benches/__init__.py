"""The measurements behind ``docs/benchmarks.md``; ``scripts/bench`` runs them."""
