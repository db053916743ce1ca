class Node:
    def __init__(self, name):
        self.name, self.children = name, []


def depth(node):
    return 1 + max((depth(child) for child in node.children), default=0)


root = Node("root")
root.children.append(Node("leaf"))
root.children[0].children.append(root)  # a cycle
print(depth(root))
