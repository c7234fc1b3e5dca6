"""An agent from another library: Maskable PPO of sb3-contrib designs networks for handwritten digits.

It needs pip install 'archwright[agents]'.
"""

from sb3_contrib import MaskablePPO

import archwright as aw
from archwright import nn


def conv(width):
    return nn.Sequential(
        nn.LazyConv2d(width, kernel_size=aw.choice(1, 3, 5), padding="same"),
        nn.LazyBatchNorm2d(),
        aw.choice(nn.ReLU(), nn.Sigmoid()),
    )


width = aw.ordinal(4, 8, 16, name="width")
space = aw.Space(
    model=nn.Sequential(
        conv(width), aw.repeat(lambda i: conv(width), 0, 1), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.LazyLinear(10)
    )
)
reward = aw.envs.Reward(weights={"accuracy": 1.0}, penalties={"parameters": (2_000, 0.2)})

if __name__ == "__main__":
    env = aw.envs.make(space, aw.Training(aw.data("digits"), epochs=2), reward=reward, seed=0, cache=True)
    agent = MaskablePPO("MlpPolicy", env, n_steps=64, learning_rate=0.001, gamma=1.0, seed=0, device="cpu")
    agent.learn(1500)

    print(f"{len(env.history.trials)} of {space.size} architectures were trained; the best by reward:")
    print(f"  {dict(env.best.architecture)}")
    print(f"  accuracy {env.best.metrics['accuracy']:.3f}, {env.best.metrics['parameters']:,.0f} parameters")

    observation, info = env.reset()
    while env.due is not None:
        action, _ = agent.predict(observation, action_masks=env.action_masks(), deterministic=True)
        observation, value, _, _, info = env.step(action)
    print(f"what the agent would now build, with a reward of {value:.3f}:\n  {dict(info['architecture'])}")
