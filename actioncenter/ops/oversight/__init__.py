"""Requirements of human oversight, the tests that carry them, and how those ended last."""
