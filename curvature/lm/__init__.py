"""The language-model harness: the same advantages on real policies, and predicted speed-ups beside measured ones.

=========================== ==========================================================================
`curvature.lm.tasks`        GSM8K, MATH and sums as questions with answers
`curvature.lm.grading`      rewards by math-verify in a process that can be killed
`curvature.lm.splits`       easy and hard questions by the base policy's own measured success
`curvature.lm.policy`       any Hugging Face causal model, LoRA; `curvature.lm.tiny` trains one from scratch
`curvature.lm.sampling`     groups of answers; `curvature.lm.likelihood` their log-probabilities
`curvature.lm.train`        the on-policy loop, by a `curvature.lm.config.TrainConfig`; `curvature.lm.grid` many runs
`curvature.lm.probe`        gradient cosines, directional curvature, the Fisher proxy at a checkpoint
`curvature.lm.compare`      predicted and measured learning curves and times to target
`curvature.lm.trl`          our advantages and recording in TRL's GRPOTrainer
=========================== ==========================================================================

Needs ``pip install 'curvature[lm]'``. Importing this package loads none of it; each module loads what it uses.
"""
