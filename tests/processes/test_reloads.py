"""Policies are taken over by all workers or by none, and each request keeps the one it began with."""

import asyncio
import signal


async def test_each_answer_belongs_to_exactly_one_generation_while_the_policy_flips(gateway):
    """Twenty flips under load: the rule that an answer shows is the rule of the generation that it names."""
    await (await gateway.start()).ready()
    rules = {1: "first"}
    answers = []
    flipping = True

    async def keep_asking():
        while flipping:
            answers.append(await gateway.ask("/wait/0.01"))

    asking = [asyncio.create_task(keep_asking()) for _ in range(2)]
    for flip in range(20):
        gateway.write(policy={"rule": f"flip-{flip}"})
        status, outcome = await gateway.manage("/reload", "POST")
        assert status == 200
        rules[outcome["generation"]] = f"flip-{flip}"
        assert {worker["generation"] for worker in (await gateway.status())["workers"]} == {outcome["generation"]}
    flipping = False
    await asyncio.gather(*asking)
    assert all(rules[answer["generation"]] == answer["rule"] for answer in answers)
    assert len({answer["generation"] for answer in answers}) > 2


async def test_sighup_takes_over_a_good_policy_and_keeps_the_last_good_one_otherwise(gateway):
    """Broken JSON, a policy all refuse, one that a single worker refuses, one that hangs: nothing changes anywhere."""
    await (await gateway.start(pace={"prepare": 0.5})).ready()
    gateway.write(policy={"rule": "second"})
    gateway.signal(signal.SIGHUP)
    good = await gateway.until(
        lambda status: status["last_reload"]["outcome"] == "applied" and status["generation"] > 1
    )
    bad = ["{", {"rule": "x", "refuse": "all"}, {"rule": "y", "refuse": 1}, {"rule": "z", "hang": 0}]
    for policy in bad:
        before = (await gateway.status())["last_reload"]["at"]
        gateway.write(policy=policy)
        gateway.signal(signal.SIGHUP)
        refused = await gateway.until(lambda status, before=before: status["last_reload"]["at"] > before)
        assert refused["last_reload"]["outcome"] == "refused", policy
        assert refused["last_reload"]["problems"], policy
        assert refused["revision"] == good["revision"]
    answers = [await gateway.ask() for _ in range(6)]
    assert {answer["rule"] for answer in answers} == {"second"}
    text = (await gateway.manage("/metrics"))[1]
    assert "tongguan_config_last_reload_successful 0.0" in text


async def test_a_changed_file_is_noticed_and_a_changed_static_file_asks_for_a_restart(gateway):
    """No signal is needed; what cannot be taken over live is said."""
    await (await gateway.start(workers=1)).ready()
    gateway.write(policy={"rule": "second"})
    await gateway.until(lambda status: status["generation"] == 2)
    gateway.write(listen="127.0.0.1:0", management="127.0.0.1:0", workers=7, drain=5.0)
    status = await gateway.until(lambda status: status["last_reload"]["restart_needed"])
    assert status["last_reload"]["outcome"] == "unchanged"
    assert status["last_reload"]["cause"] == "file"
    assert len(status["workers"]) == 1


async def test_a_policy_that_the_first_worker_refuses_ends_the_start_with_exit_code_2(gateway):
    """Said once, with the problem, and nothing stays behind."""
    await gateway.start(policy={"rule": "x", "refuse": "all"}, workers=3)
    assert await gateway.ended() == 2
    await gateway.listening
    assert [line for line in gateway.lines if "not allowed" in line] == ["policy.json:1 rule: 'x' is not allowed\n"]
