"""The pieces of `kintsugi exec`."""
