def pytest_collection_modifyitems(config, items):
    """Who asks for what is slow gets a few seeds; the many only who asks for them by name."""
    if "chaos" in (config.option.markexpr or ""):
        return
    many = [item for item in items if item.get_closest_marker("chaos")]
    config.hook.pytest_deselected(items=many)
    items[:] = [item for item in items if item not in many]
