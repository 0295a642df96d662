import gc
import weakref

from sweeps.memory import free_memory


def test_what_only_refers_to_itself_is_given_back():
    class Node:
        pass

    gc.disable()
    try:
        node = Node()
        node.itself = node
        seen = weakref.ref(node)
        del node
        free_memory()
        assert seen() is None
    finally:
        gc.enable()
