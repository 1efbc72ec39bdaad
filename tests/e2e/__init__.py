"""The whole system as real processes, met only through what outside parties meet."""
