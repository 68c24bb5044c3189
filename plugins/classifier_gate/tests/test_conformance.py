from medkit.testing import PostprocessorConformance


class TestHardGate(PostprocessorConformance):
    component = "classifier_gate"
    not_applicable = {"test_what_was_learnt_for_other_findings_is_refused": "a gate is for all findings together"}


class TestSoftGate(TestHardGate):
    options = {"mode": "soft"}
