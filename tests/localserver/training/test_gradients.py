import torch
from torch.nn import functional

from harness.localserver.training.gradients import Change, answer_losses, changed_product, freeze_pair


def random_change(rank: int, inputs: int, outputs: int) -> Change:
    down, up = torch.randn(rank, inputs, requires_grad=True), torch.randn(rank, outputs, requires_grad=True)
    return Change(down=down, up=up, scale=0.5)


def test_product_and_its_gradients_are_those_of_autograd() -> None:
    weight, rows = torch.randn(48, 32), torch.randn(20, 32, requires_grad=True)
    change, outer = random_change(4, 32, 48), torch.randn(20, 48)
    wanted = (rows, change.down, change.up)
    expected = rows @ (weight + 0.5 * change.up.T @ change.down).T
    found = changed_product(rows, freeze_pair(weight), change)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    for mine, theirs in zip(
        torch.autograd.grad((found * outer).sum(), wanted),
        torch.autograd.grad((expected * outer).sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-4)


def test_rows_that_need_no_gradient_get_none() -> None:
    change = random_change(4, 32, 48)
    found = changed_product(torch.randn(20, 32), freeze_pair(torch.randn(48, 32)), change)
    gradients = torch.autograd.grad(found.sum(), (change.down, change.up))
    assert [gradient.shape for gradient in gradients] == [(4, 32), (4, 48)]


def test_losses_and_their_gradient_are_those_of_cross_entropy() -> None:
    """More answers than are held at a time, and a count no step divides."""
    head, labels = torch.randn(300, 32), torch.randint(300, (201,))
    states = torch.randn(201, 32, requires_grad=True)
    losses, right = answer_losses(states, labels, freeze_pair(head))
    logits = states @ head.T
    expected = functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(losses, expected, atol=1e-4, rtol=1e-5)
    assert torch.equal(right, logits.argmax(dim=-1) == labels)
    shares = torch.randn(201)
    (mine,) = torch.autograd.grad((shares * losses).sum(), states)
    (theirs,) = torch.autograd.grad((shares * expected).sum(), states)
    torch.testing.assert_close(mine, theirs, atol=1e-3, rtol=1e-4)


def test_right_answers_are_counted() -> None:
    head = torch.eye(8)
    _, right = answer_losses(10 * torch.eye(8), torch.tensor([0, 1, 2, 3, 0, 0, 0, 0]), freeze_pair(head))
    assert right.tolist() == [True] * 4 + [False] * 4


def test_large_logits_do_not_overflow() -> None:
    states = torch.tensor([[1e4, -1e4]] * 3, requires_grad=True)
    losses, _ = answer_losses(states, torch.tensor([0, 0, 1]), freeze_pair(torch.eye(2)))
    assert losses.tolist() == [0, 0, 2e4]
    (gradient,) = torch.autograd.grad(losses.sum(), states)
    assert gradient.tolist() == [[0.0, 0.0], [0.0, 0.0], [1.0, -1.0]]


def test_measuring_needs_no_gradient() -> None:
    with torch.no_grad():
        losses, _ = answer_losses(
            torch.randn(5, 32), torch.randint(300, (5,)), freeze_pair(torch.randn(300, 32))
        )
    assert not losses.requires_grad
