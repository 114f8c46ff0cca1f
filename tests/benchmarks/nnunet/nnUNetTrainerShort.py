"""A short training of nnU-Net v2 on a CPU; nnU-Net finds it by nnUNet_extTrainer=this folder.

nnU-Net's own loss, augmentation, sampling and learning rates. Only the number of steps is smaller,
one thread is used, and the last validation on whole stacks, which takes longer than the training,
is left out. docs/segmentation.md has the commands.
"""
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class nnUNetTrainerShort(nnUNetTrainer):
    """400 steps of training: 8 epochs of 50."""

    def __init__(self, plans, configuration, fold, dataset_json, device=torch.device('cpu')):
        super().__init__(plans, configuration, fold, dataset_json, device)
        torch.set_num_threads(1)
        self.num_epochs = 8
        self.num_iterations_per_epoch = 50
        self.num_val_iterations_per_epoch = 5

    def perform_actual_validation(self, save_probabilities=False):
        """Nothing: the score is that of the labelled stack."""
