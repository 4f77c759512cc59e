"""Settings, and the flags that come from them."""
